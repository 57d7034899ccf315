/** The sound of the last minutes as a log-mel spectrogram, and how loud it is at a moment. */

/** Length of a column as it is kept, s. */
export const COLUMN_S = 0.04;
export const BANDS = 64;
/** What the protocol's levels mean: 0 is this, 255 is full scale. */
const FLOOR_DBFS = -90;
const FALL_DB_PER_S = 40;

/** Columns of the newest `span_s` seconds on a line of time (see `Segments`). */
export class MelStore {
    /** @param {number} span_s */
    constructor(span_s) {
        this.size = Math.ceil(span_s / COLUMN_S);
        this.levels = new Uint8Array(this.size * BANDS);
        this.stamps = new Float64Array(this.size).fill(-1);
        this.offset_db = 0;
        this.calibrated = false;
    }

    /**
     * @param {number} line_s where the first column begins
     * @param {import('./feed.js').MelMessage} mel
     * @returns {number[]} the columns that changed, by their absolute number
     */
    add(line_s, { bands, columns, column_s, levels }) {
        const changed = new Set();
        for (let column = 0; column < columns; column += 1) {
            const first = Math.floor((line_s + column * column_s) / COLUMN_S + 1e-6);
            const last = Math.max(first, Math.ceil((line_s + (column + 1) * column_s) / COLUMN_S - 1e-6) - 1);
            for (let at = first; at <= last; at += 1) {
                this.#put(at, levels, column * bands, bands);
                changed.add(at);
            }
        }
        return [...changed];
    }

    #put(at, levels, from, bands) {
        const slot = this.#slot(at);
        const fresh = this.stamps[slot] !== at;
        this.stamps[slot] = at;
        for (let band = 0; band < BANDS; band += 1) {
            const level = levels[from + Math.floor((band * bands) / BANDS)];
            const place = slot * BANDS + band;
            this.levels[place] = fresh ? level : Math.max(level, this.levels[place]);
        }
    }

    #slot(at) {
        return ((at % this.size) + this.size) % this.size;
    }

    /**
     * @param {number} at absolute number of a column
     * @returns {Uint8Array|null} its levels, low band first; null where nothing was heard
     */
    column(at) {
        const slot = this.#slot(at);
        return this.stamps[slot] === at ? this.levels.subarray(slot * BANDS, (slot + 1) * BANDS) : null;
    }

    /** Power of a column, relative; null where nothing was heard. */
    #power(at) {
        const levels = this.column(at);
        if (!levels) {
            return null;
        }
        let power = 0;
        for (const level of levels) {
            power += level ? 10 ** ((FLOOR_DBFS + (level / 255) * -FLOOR_DBFS) / 10) : 0;
        }
        return power;
    }

    /**
     * Ties the level of the columns to that of the sound, as a result states it for its window.
     * @param {number} from_s start of the window on the line of time
     * @param {number} to_s its end
     * @param {number} audio_dbfs level of its sound
     */
    calibrate(from_s, to_s, audio_dbfs) {
        let sum = 0;
        let count = 0;
        for (let at = Math.floor(from_s / COLUMN_S); at < to_s / COLUMN_S; at += 1) {
            const power = this.#power(at);
            if (power !== null) {
                sum += power;
                count += 1;
            }
        }
        if (count * COLUMN_S < 0.3 || sum <= 0 || audio_dbfs < -80) {
            return;
        }
        const wanted_db = audio_dbfs - 10 * Math.log10(sum / count);
        this.offset_db += (wanted_db - this.offset_db) * (this.calibrated ? 0.2 : 1);
        this.calibrated = true;
    }

    /**
     * @param {number} line_s a moment
     * @returns {number|null} dBFS; null where nothing was heard
     */
    level(line_s) {
        const power = this.#power(Math.floor(line_s / COLUMN_S));
        if (power === null) {
            return null;
        }
        return power > 0 ? Math.min(0, 10 * Math.log10(power) + this.offset_db) : -120;
    }
}

/** A level meter that rises at once and falls slowly, so that the eye can follow. */
export class Meter {
    constructor() {
        this.shown_dbfs = -120;
        this.t_s = 0;
    }

    /**
     * @param {number} level_dbfs
     * @param {number} t_s any steady time
     * @returns {number} dBFS to show
     */
    next(level_dbfs, t_s) {
        const fall = FALL_DB_PER_S * Math.max(0, t_s - this.t_s);
        this.shown_dbfs = Math.max(level_dbfs, this.shown_dbfs - fall, -120);
        this.t_s = t_s;
        return this.shown_dbfs;
    }
}
