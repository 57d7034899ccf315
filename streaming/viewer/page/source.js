/** One source as the page knows it: what has come, what is shown, and its tile. */
import { Following } from './following.js';
import { History, SPAN_S } from './history.js';
import { MelStore, Meter } from './mel.js';
import { GREY_WIDTH, greyOf } from './motion.js';
import { Painter } from './painter.js';
import { Stills } from './stills.js';
import { PictureQueue, PlayoutClock, Segments } from './playout.js';

/** Decoded pictures of one source may take so much memory; more are decoded again when they are due. */
const BITMAP_BYTES = 96 << 20;
/** How long before it is due a picture is decoded again, s. */
const DECODE_AHEAD_S = 0.3;
/** How long at most objects are looked for between two frames, ms. */
const LEARN_MS = 4;
const GREYS_KEPT_S = 2.5;
const FRAMES_KEPT = 1500;
/** A newer generation takes over when the older one has nothing more to show, or after this, s. */
const PATIENCE_S = 1.5;
/** A server that is so far behind what is known here is at another run, s. */
const OTHER_RUN_S = 2;
/** So is one that says so many things in a row that are old. */
const OTHER_RUN_RESULTS = 3;

const greyCanvas = document.createElement('canvas');
const greyContext = greyCanvas.getContext('2d', { willReadFrequently: true });

function smallGrey(bitmap) {
    const height = Math.max(1, Math.round((bitmap.height * GREY_WIDTH) / bitmap.width));
    if (greyCanvas.width !== GREY_WIDTH || greyCanvas.height !== height) {
        greyCanvas.width = GREY_WIDTH;
        greyCanvas.height = height;
        greyContext.imageSmoothingQuality = 'medium';
    }
    greyContext.drawImage(bitmap, 0, 0, GREY_WIDTH, height);
    return greyOf(greyContext.getImageData(0, 0, GREY_WIDTH, height).data, GREY_WIDTH, height);
}

export class Source {
    /**
     * @param {string} id
     * @param {number} number of the source in binary messages
     * @param {number} hop_s
     */
    constructor(id, number, hop_s) {
        this.id = id;
        this.number = number;
        this.hop_s = hop_s;
        this.painter = new Painter();
        this.picture = null;
        this.notice = '';
        this.status = null;
        this.frames = [];
        this.paused = false;
        this.restart();
    }

    /** Forgets all that is known: another run begins. The last picture stays until there is another. */
    restart() {
        this.queue?.clear();
        this.queue = new PictureQueue();
        this.following = new Following(this.hop_s);
        this.history = new History(this.hop_s);
        this.stills = new Stills();
        this.segments = new Segments();
        this.mel = new MelStore(SPAN_S + 10);
        this.meter = new Meter();
        /** @type {Map<number, PlayoutClock>} by generation; the first is the one that is shown */
        this.clocks = new Map();
        this.generation = null;
        this.waiting_since = null;
        this.scene = null;
        this.greys = [];
        this.size = this.picture ? this.size : null;
        this.has_audio = true;
        this.age_s = null;
        this.behind_s = null;
        this.strays = 0;
        this.dirty = true;
    }

    /**
     * @param {object|undefined} newest hop that the server knows of, or a result
     * @returns {boolean} whether the server is at another run than the one known here
     */
    isOther(newest) {
        const known = this.following.newest;
        if (!known || !newest) {
            return false;
        }
        return (
            newest.generation < known.generation ||
            (newest.generation === known.generation && newest.t_s < known.t_s - OTHER_RUN_S)
        );
    }

    // What comes ------------------------------------------------------------------------------------------

    #clock(generation) {
        if (!this.clocks.has(generation)) {
            if (this.generation !== null && generation < this.generation) {
                return null;
            }
            this.clocks.set(generation, new PlayoutClock(this.hop_s));
            this.generation ??= generation;
        }
        return this.clocks.get(generation);
    }

    /**
     * @param {import('./feed.js').PictureMessage} message
     * @param {number} now_s
     */
    addPicture({ generation, t_s, jpeg }, now_s) {
        const clock = this.#clock(generation);
        if (!clock) {
            return;
        }
        clock.picture(t_s, now_s);
        const picture = { generation, t_s, jpeg, bitmap: null, grey: null, state: 'waiting' };
        this.queue.add(picture);
        this.stills.add(picture);
        if (this.queue.pictures.at(-1) === picture && !document.hidden && !this.paused) {
            this.#decode(picture);
        }
    }

    /**
     * @param {object} result as `checkedResult` returns it
     * @param {number} now_s
     */
    addResult(result, now_s) {
        this.strays = this.isOther(result) ? this.strays + 1 : 0;
        if (this.strays >= OTHER_RUN_RESULTS) {
            this.restart();
        } else if (this.strays) {
            return;
        }
        this.#clock(result.generation)?.result(result.t_s + result.dur_s, now_s);
        this.following.add(result);
        this.has_audio = result.has_audio;
        this.addHop(result);
    }

    /** @param {object} hop as `checkedHop` returns it */
    addHop(hop) {
        const place = (generation, t_s) => this.segments.place(generation, t_s);
        this.history.add(hop, place);
        const end_s = place(hop.generation, hop.t_s + hop.dur_s);
        this.mel.calibrate(end_s - hop.dur_s, end_s, hop.audio_dbfs);
    }

    /**
     * @param {import('./feed.js').MelMessage} message
     * @returns {number[]} columns that changed
     */
    addMel(message) {
        return this.mel.add(this.segments.place(message.generation, message.t_s), message);
    }

    async #decode(picture) {
        if (picture.state !== 'waiting') {
            return;
        }
        picture.state = 'decoding';
        let bitmap = null;
        try {
            bitmap = await createImageBitmap(new Blob([picture.jpeg], { type: 'image/jpeg' }));
        } catch {
            picture.state = 'bad'; // a damaged picture is left out; the one before it stays
            return;
        }
        if (picture.state !== 'decoding') {
            bitmap.close(); // it was let go of meanwhile
            return;
        }
        if (!picture.grey) {
            picture.grey = smallGrey(bitmap);
            this.#keepGrey(picture);
        }
        const held = this.queue.pictures.filter((one) => one.bitmap).length;
        const due_s = picture.t_s - (this.clocks.get(picture.generation)?.t_s ?? -Infinity);
        if (held * bitmap.width * bitmap.height * 4 > BITMAP_BYTES && due_s > DECODE_AHEAD_S) {
            bitmap.close();
            picture.state = 'waiting';
            return;
        }
        picture.bitmap = bitmap;
        picture.state = 'ready';
    }

    #keepGrey({ generation, t_s, grey }) {
        if (this.greys.length && this.greys[0].generation !== generation) {
            this.greys = [];
        }
        let index = this.greys.length;
        while (index > 0 && this.greys[index - 1].t_s > t_s) {
            index -= 1;
        }
        this.greys.splice(index, 0, { generation, t_s, grey });
        while (this.greys[0].t_s < t_s - GREYS_KEPT_S - this.hop_s) {
            this.greys.shift();
        }
    }

    // What is shown ---------------------------------------------------------------------------------------

    /** Stream time that is shown, for whoever goes along with it. */
    moment() {
        const clock = this.clocks.get(this.generation);
        return { generation: this.generation, t_s: clock?.t_s ?? null, rate: clock?.rate ?? 1 };
    }

    /** The same on the source's line of time; null while nothing is shown. */
    line_s() {
        const { generation, t_s } = this.moment();
        return t_s === null ? null : this.segments.place(generation, t_s);
    }

    /**
     * Goes on to now, and takes the picture that is due.
     * @param {number} now_s
     * @param {number} slew see `PlayoutClock.advance`
     */
    advance(now_s, slew) {
        let clock = this.clocks.get(this.generation);
        if (!clock || this.paused) {
            return;
        }
        let t_s = clock.advance(now_s, slew);
        this.behind_s = Math.max(0, clock.live_s(now_s) - (t_s ?? 0));
        const newer = [...this.clocks.keys()].find((generation) => generation > this.generation);
        if (newer !== undefined) {
            this.waiting_since ??= now_s;
            if (t_s === null || t_s >= clock.head_s - 0.02 || now_s - this.waiting_since > PATIENCE_S) {
                this.clocks.delete(this.generation);
                this.generation = newer;
                this.waiting_since = null;
                clock = this.clocks.get(newer);
                t_s = clock.advance(now_s, slew);
            }
        }
        if (t_s === null) {
            return;
        }
        this.#decodeAhead(t_s);
        this.#learn(LEARN_MS);
        this.#take(t_s);
    }

    #decodeAhead(t_s) {
        const first = Math.max(0, this.queue.at(this.generation, t_s));
        for (const picture of this.queue.pictures.slice(first)) {
            if (picture.generation === this.generation && picture.t_s > t_s + DECODE_AHEAD_S) {
                break;
            }
            this.#decode(picture);
        }
    }

    #take(t_s) {
        let index = this.queue.at(this.generation, t_s);
        while (index >= 0 && this.queue.pictures[index].state !== 'ready') {
            index -= 1;
        }
        if (index < 0) {
            return;
        }
        this.queue.dropBefore(index);
        const [picture] = this.queue.pictures.splice(0, 1);
        this.picture?.bitmap?.close();
        this.picture = picture;
        this.size = [picture.bitmap.height, picture.bitmap.width];
        this.dirty = true;
    }

    /**
     * The objects of a hop are found again in its pictures: a little at a time when its result is there, and the
     * rest before the first of its pictures is drawn.
     * @param {number} budget_ms
     * @param {number} until_s results of hops that begin later can wait
     */
    #learn(budget_ms, until_s = Infinity) {
        const end_ms = performance.now() + budget_ms;
        const goOn = () => performance.now() < end_ms;
        for (const result of this.following.results) {
            if (result.learnt || result.end_s - this.hop_s > until_s) {
                continue;
            }
            if (this.#decodedUpTo(result) && goOn()) {
                this.following.learn(
                    result,
                    this.greys.filter(({ generation }) => generation === result.generation),
                    goOn,
                );
            }
            return;
        }
    }

    #decodedUpTo({ generation, frame_t_s }) {
        return this.queue.pictures.every(
            (one) =>
                one.generation !== generation ||
                one.t_s > frame_t_s + 1e-3 ||
                one.grey ||
                one.state === 'bad',
        );
    }

    /**
     * Draws the picture that is due, where something has changed.
     * @param {HTMLCanvasElement} canvas
     * @param {{opacity: number, threshold: number, all: boolean}} view
     * @returns {boolean} whether it was drawn
     */
    draw(canvas, view) {
        if (!this.dirty) {
            return false;
        }
        this.dirty = false;
        const ratio = Math.min(2, window.devicePixelRatio || 1);
        const context = canvas.getContext('2d');
        context.clearRect(0, 0, canvas.width, canvas.height);
        if (!this.picture) {
            return false;
        }
        const frame = this.#frame(view);
        const scale = Math.min(canvas.width / frame.width, canvas.height / frame.height);
        const [width, height] = [frame.width * scale, frame.height * scale];
        const area = { x: (canvas.width - width) / 2, y: (canvas.height - height) / 2, width, height };
        const drawn = this.painter.draw(context, area, frame, ratio);
        this.#note(frame, drawn);
        return true;
    }

    #frame(view) {
        const { generation, t_s, bitmap } = this.picture;
        if (!this.paused || !this.scene) {
            this.#learn(Infinity, t_s);
            const { result, tracks, age_s } = this.following.at(generation, t_s);
            const level_dbfs = this.mel.level(this.segments.place(generation, t_s));
            const silent = this.has_audio === false;
            const [height, width] = this.size;
            const scale = result
                ? [width / result.width, height / result.height]
                : (this.scene?.scale ?? [1, 1]);
            this.scene = {
                result,
                scale,
                tracks: tracks.map((track) => ({
                    ...track,
                    box: track.box.map((side, index) => side * scale[index % 2]),
                })),
                offscreen: Boolean(result?.offscreen),
                offscreen_text: result?.offscreen_text ?? '',
                level_dbfs: silent ? null : this.meter.next(level_dbfs ?? -120, t_s),
            };
            this.age_s = age_s;
        }
        return {
            image: bitmap,
            height: this.size[0],
            width: this.size[1],
            t_s,
            tracks: this.scene.tracks,
            offscreen: this.scene.offscreen,
            offscreen_text: this.scene.offscreen_text,
            notice: this.notice,
            level_dbfs: this.scene.level_dbfs,
            view,
        };
    }

    #note(frame, drawn) {
        this.frames.push({
            t_s: frame.t_s,
            generation: this.picture.generation,
            width: frame.width,
            height: frame.height,
            seq: this.scene.result?.seq ?? null,
            age_s: this.age_s,
            behind_s: this.behind_s,
            offscreen: frame.offscreen,
            tracks: drawn,
        });
        if (this.frames.length > FRAMES_KEPT) {
            this.frames.shift();
        }
    }

    /** What sounds in the picture that is shown. */
    sounding(threshold) {
        if (!this.scene) {
            return { tracks: [], offscreen: false, offscreen_text: '' };
        }
        return {
            tracks: this.scene.tracks.filter(({ silent, sounding }) => !silent && sounding >= threshold),
            offscreen: this.scene.offscreen,
            offscreen_text: this.scene.offscreen_text,
        };
    }

    /**
     * The picture that is shown with everything on it, at its own size.
     * @param {{opacity: number, threshold: number, all: boolean}} view
     * @returns {Promise<Blob>|null} PNG
     */
    png(view) {
        if (!this.picture) {
            return null;
        }
        const canvas = document.createElement('canvas');
        [canvas.height, canvas.width] = this.size;
        const area = { x: 0, y: 0, width: canvas.width, height: canvas.height };
        new Painter().draw(canvas.getContext('2d'), area, this.#frame(view), 1);
        return new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
    }

    /** The answer that is shown, as JSON can say it. */
    json(view) {
        const { result, tracks } = this.scene ?? { result: null, tracks: [] };
        const { sightings: _sightings, learnt: _learnt, unheard: _unheard, ...answer } = result ?? {};
        return {
            source: this.id,
            generation: this.picture?.generation ?? null,
            picture_t_s: this.picture?.t_s ?? null,
            taken: new Date().toISOString(),
            drawn: tracks.map(({ shape: _shape, ...track }) => track),
            view,
            result: result ? answer : null,
        };
    }

    /** Whatever waits is of no use any more: the page was hidden, or lost the server. */
    forget() {
        this.queue.clear();
        this.clocks.clear();
        this.generation = null;
        this.waiting_since = null;
    }
}
