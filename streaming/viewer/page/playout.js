/**
 * What of a source is shown when: a little behind live, so that picture, masks and sound agree.
 *
 * The pictures and the sound of a hop come together when it is over, and its result a little later. The clock
 * runs at the pace of the stream, behind it by one hop and by the time that results take, so that a hop begins
 * to be shown when its result is (nearly always) there.
 */

const MARGIN_S = 0.08;
/** How long results take before one has come, s. */
const GUESS_S = 0.35;
const RESULTS_KEPT = 20;
const MEDIA_KEPT = 90;
const JUMP_S = 1.0;
/** Results that come later than this are waited for by nobody, s. */
const MOST_BEHIND_S = 4;
const SPAN_FOR_RATE_S = 1.5;

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** Stream time as it is shown. All times in seconds; `now_s` is any steady clock. */
export class PlayoutClock {
    /** @param {number} hop_s length of a hop */
    constructor(hop_s) {
        this.hop_s = hop_s;
        this.restart();
    }

    /** Forgets everything: another stretch of stream begins. */
    restart() {
        /** @type {number|null} what is shown, stream time */
        this.t_s = null;
        this.rate = 1;
        this.head_s = -Infinity;
        this.results = [];
        this.media = [];
        this.then_s = null;
    }

    /**
     * A picture has come.
     * @param {number} t_s its stream time
     * @param {number} now_s
     */
    picture(t_s, now_s) {
        this.head_s = Math.max(this.head_s, t_s);
        this.media.push({ ready_s: t_s, now_s });
        if (this.media.length > MEDIA_KEPT) {
            this.media.shift();
        }
    }

    /**
     * A result has come: the hop before `end_s` may be shown.
     * @param {number} end_s stream time at the end of its window
     * @param {number} now_s
     */
    result(end_s, now_s) {
        this.head_s = Math.max(this.head_s, end_s);
        this.results.push({ ready_s: end_s - this.hop_s, now_s });
        if (this.results.length > RESULTS_KEPT) {
            this.results.shift();
        }
        this.#measureRate();
    }

    /** What is captured now, as far as can be told, stream time. */
    live_s(now_s) {
        let live_s = -Infinity;
        for (const { ready_s, now_s: then_s } of this.media) {
            live_s = Math.max(live_s, ready_s + this.rate * (now_s - then_s));
        }
        return live_s;
    }

    /**
     * Goes on to now.
     * @param {number} now_s
     * @param {number} slew by how much the clock may run faster or slower to come to where it should be
     * @returns {number|null} stream time to show; null while nothing has come
     */
    advance(now_s, slew = 0.12) {
        const wish_s = this.#wish(now_s);
        const dt_s = this.then_s === null ? 0 : Math.max(0, now_s - this.then_s);
        this.then_s = now_s;
        if (wish_s === null) {
            return this.t_s;
        }
        if (this.t_s === null || Math.abs(wish_s - this.t_s) > JUMP_S * Math.max(1, this.rate)) {
            this.t_s = wish_s;
        } else {
            const late_s = wish_s - this.t_s - this.rate * dt_s;
            const pull = Math.abs(late_s) < 0.01 ? 0 : clamp(late_s, -slew, slew);
            this.t_s += dt_s * this.rate * (1 + pull);
        }
        this.t_s = Math.min(this.t_s, this.head_s);
        return this.t_s;
    }

    #wish(now_s) {
        const earliest = (samples) => {
            const ready = samples.map(({ ready_s, now_s: then_s }) => ready_s + this.rate * (now_s - then_s));
            ready.sort((a, b) => a - b);
            // One in ten that came very late is no reason to show everything later from then on.
            return ready[Math.floor(ready.length / 10)];
        };
        if (!this.media.length) {
            return null;
        }
        const media_s = earliest(this.media);
        const late_s = this.results.length ? Math.min(earliest(this.results), media_s) : media_s - GUESS_S;
        const ready_s = Math.max(late_s, this.live_s(now_s) - MOST_BEHIND_S * Math.max(1, this.rate));
        return ready_s - MARGIN_S * Math.max(1, this.rate);
    }

    /** A recording may be read faster than it plays; a live source never is, but for how results come. */
    #measureRate() {
        const first = this.results[0];
        const last = this.results[this.results.length - 1];
        const span_s = last.now_s - first.now_s;
        if (this.results.length < 6 || span_s < SPAN_FOR_RATE_S) {
            return;
        }
        const rate = (last.ready_s - first.ready_s) / span_s;
        this.rate = Math.abs(rate - 1) < 0.15 ? 1 : clamp(rate, 0.25, 20);
    }
}

/**
 * Where generations lie on one line of time: a stretch that does not begin after the one before it (another
 * go at a recording) is put behind it.
 */
export class Segments {
    constructor() {
        this.offsets = new Map();
        this.newest = -1;
        this.end_s = -Infinity;
    }

    /**
     * @param {number} generation
     * @param {number} t_s stream time
     * @returns {number} seconds on the line of time
     */
    place(generation, t_s) {
        if (!this.offsets.has(generation)) {
            this.offsets.set(generation, t_s >= this.end_s - 0.5 ? 0 : this.end_s - t_s);
            if (this.offsets.size > 64) {
                this.offsets.delete(this.offsets.keys().next().value);
            }
        }
        const line_s = t_s + this.offsets.get(generation);
        if (generation >= this.newest) {
            this.newest = generation;
            this.end_s = Math.max(this.end_s, line_s);
        }
        return line_s;
    }

    /**
     * @param {number} line_s seconds on the line of time
     * @param {number} generation
     * @returns {number} stream time
     */
    back(generation, line_s) {
        return line_s - (this.offsets.get(generation) ?? 0);
    }
}

/**
 * Pictures of a source, in the order of the stream.
 * @typedef {{generation: number, t_s: number, jpeg: Uint8Array, bitmap: ?ImageBitmap, grey: ?Uint8Array,
 *     state: 'waiting'|'decoding'|'ready'|'bad'}} Picture
 */
export class PictureQueue {
    /** @param {number} limit how many wait at most */
    constructor(limit = 400) {
        this.limit = limit;
        /** @type {Picture[]} */
        this.pictures = [];
    }

    /** @param {Picture} picture */
    add(picture) {
        const last = this.pictures[this.pictures.length - 1];
        if (
            last &&
            (picture.generation < last.generation ||
                (picture.generation === last.generation && picture.t_s <= last.t_s))
        ) {
            return; // what is no newer than what is here is not wanted
        }
        this.pictures.push(picture);
        if (this.pictures.length > this.limit) {
            release(this.pictures.shift());
        }
    }

    /**
     * The newest picture that may be shown.
     * @param {number} generation
     * @param {number} t_s stream time
     * @returns {number} its index; -1 where there is none
     */
    at(generation, t_s) {
        let found = -1;
        for (let index = 0; index < this.pictures.length; index += 1) {
            const picture = this.pictures[index];
            if (
                picture.generation > generation ||
                (picture.generation === generation && picture.t_s > t_s + 1e-4)
            ) {
                break;
            }
            found = index;
        }
        return found;
    }

    /** Lets go of what lies before an index. */
    dropBefore(index) {
        for (const picture of this.pictures.splice(0, Math.max(0, index))) {
            release(picture);
        }
    }

    clear() {
        this.dropBefore(this.pictures.length);
    }
}

function release(picture) {
    picture.bitmap?.close();
    picture.bitmap = null;
    picture.state = 'bad';
}
