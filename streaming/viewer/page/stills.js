/** Pictures that the page keeps itself, for when there is nobody to ask any more: one of each half second. Pure. */

const EVERY_S = 0.5;
const KEPT = 260;
/** A picture further from the moment asked for is another one, s. */
const NEAR_S = 1.5;

export class Stills {
    constructor() {
        /** @type {{generation: number, t_s: number, jpeg: Uint8Array}[]} */
        this.kept = [];
    }

    /** @param {{generation: number, t_s: number, jpeg: Uint8Array}} picture */
    add({ generation, t_s, jpeg }) {
        const last = this.kept.at(-1);
        if (last && last.generation === generation && t_s < last.t_s + EVERY_S) {
            return;
        }
        this.kept.push({ generation, t_s, jpeg });
        if (this.kept.length > KEPT) {
            this.kept.shift();
        }
    }

    /**
     * @param {number} generation
     * @param {number} t_s stream time
     * @returns {Uint8Array|null} the JPEG nearest to a moment; null where there is none near it
     */
    near(generation, t_s) {
        let found = null;
        let away_s = NEAR_S;
        for (const one of this.kept) {
            if (one.generation === generation && Math.abs(one.t_s - t_s) <= away_s) {
                away_s = Math.abs(one.t_s - t_s);
                found = one.jpeg;
            }
        }
        return found;
    }
}
