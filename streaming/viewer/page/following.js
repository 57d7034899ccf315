/**
 * Where each track is in a picture that lies between two results, or a little behind the newest one.
 *
 * What sounds in a hop is said by the result of its own snippet. Where it is follows from the sightings on
 * either side: the path found in the pictures (motion.js) where there is one, the straight line where there is
 * none, and for at most one hop the last velocity where the next result is late.
 */
import { nameOf } from './look.js';
import { follow, templateOf } from './motion.js';
import { decodeMask } from './rle.js';
import { blend, shapeOf } from './shapes.js';

const KEPT_S = 14;
const MOST_RESULTS = 240;
/** Two times are the same moment, s. */
const SAME_S = 1e-3;
/** A picture so near to a sighting shows the object where it was seen, s. */
const NEAR_S = 0.1;
/** Sightings further apart than so many hops are two appearances. */
const HOPS_APART = 2.2;
/** A path that misses the other sighting by more than this share of the picture's width is not believed. */
const MISS = 0.08;
/** Outlines of silent things whose boxes overlap by so much (IoU) are of one thing. */
const SAME_THING = 0.3;

/**
 * @typedef {object} Sighting a track as a result saw it
 * @property {number} t_s stream time of the picture that was looked at
 * @property {object} track of the checked result
 * @property {import('./rle.js').Cutout} cutout
 * @property {number} x middle of the box, pixels
 * @property {number} y middle of the box, pixels
 * @property {Float32Array} shape
 * @property {object|null|undefined} template to find it again by; undefined while that has not been looked for
 * @property {{t_s: number, x: number, y: number}[]|null} path to this sighting, in the order of time
 */

/**
 * @typedef {object} DrawnTrack
 * @property {number} id
 * @property {string} label
 * @property {number|null} p probability of the label, 0..1
 * @property {number} sounding 0..1
 * @property {boolean} silent it does not sound in this hop
 * @property {boolean} candidate it is seen and held for silent, and has no name
 * @property {number[]} box x, y, width, height in the picture, pixels
 * @property {Float32Array} shape
 */

/** The results of one source, and what they say of any moment. */
export class Following {
    /**
     * @param {number} hop_s
     * @param {number} silent_s how long a track that has fallen silent is remembered
     */
    constructor(hop_s, silent_s = 10) {
        this.hop_s = hop_s;
        this.silent_s = silent_s;
        this.generation = -1;
        this.results = [];
        this.labels = new Map();
        this.lastUnheard = 0;
    }

    get newest() {
        return this.results[this.results.length - 1] ?? null;
    }

    /**
     * @param {object} result as `checkedResult` returns it
     * @returns {boolean} false where it is older than what is here
     */
    add(result) {
        if (
            result.generation < this.generation ||
            (this.newest && result.generation === this.generation && result.frame_t_s < this.newest.frame_t_s)
        ) {
            return false;
        }
        if (result.generation > this.generation) {
            this.generation = result.generation;
            this.results = [];
            this.labels.clear();
        }
        const sightings = new Map();
        for (const track of result.tracks) {
            const sighting = sightingOf(track, result);
            if (sighting) {
                sightings.set(track.id, sighting);
            }
            this.labels.set(track.id, {
                label: track.label,
                p: track.p,
                revision: result.vocabulary_revision,
            });
        }
        const candidates = this.#recognised(result);
        for (const [id, sighting] of candidates) {
            sightings.set(id, sighting);
        }
        const unheard = result.candidates ? [...candidates.keys()] : null;
        this.results.push({ ...result, unheard, end_s: result.t_s + result.dur_s, sightings, learnt: false });
        while (this.results.length > MOST_RESULTS || this.results[0].frame_t_s < result.frame_t_s - KEPT_S) {
            this.results.shift();
        }
        return true;
    }

    /**
     * Silent objects have no identity: one that lies where one lay in the result before is taken for the same, so
     * that it goes along with what moves. Their ids, of the page alone, are negative.
     * @returns {Map<number, Sighting>}
     */
    #recognised(result) {
        const before = [...(this.newest?.sightings ?? [])].filter(([id]) => id < 0);
        const found = new Map();
        for (const candidate of result.candidates ?? []) {
            const sighting = sightingOf({ id: 0, label: '', p: null, ...candidate }, result);
            if (!sighting) {
                continue;
            }
            const near = before.find(
                ([id, one]) => !found.has(id) && boxOverlap(one.cutout, sighting.cutout) >= SAME_THING,
            );
            const id = near ? near[0] : (this.lastUnheard -= 1);
            sighting.track.id = id;
            sighting.template = null; // a straight line will do for what is only hinted at
            found.set(id, sighting);
        }
        return found;
    }

    /**
     * The result that says what sounds at a moment.
     * @param {number} t_s stream time
     * @returns {object|null}
     */
    owner(t_s) {
        for (let index = this.results.length - 1; index >= 0; index -= 1) {
            const { end_s } = this.results[index];
            if (t_s < end_s - this.hop_s - SAME_S) {
                continue;
            }
            return t_s < end_s - SAME_S ? this.results[index] : null;
        }
        return null;
    }

    /**
     * Finds the objects of a result again in the pictures before it, one after the other.
     * @param {object} result of `owner` or `results`
     * @param {{t_s: number, grey: import('./motion.js').Grey}[]} pictures of its hop and the one before it, in
     *     the order of time
     * @param {() => boolean} goOn whether there is time for another object
     */
    learn(result, pictures, goOn = () => true) {
        const own = nearest(pictures, result.frame_t_s);
        if (!own) {
            for (const sighting of result.sightings.values()) {
                sighting.template ??= null;
            }
            result.learnt = true;
            return;
        }
        const until_s = Math.max(own.t_s, result.frame_t_s) + SAME_S;
        const scale = own.grey.width / result.width;
        for (const [id, after] of result.sightings) {
            if (after.template !== undefined) {
                continue;
            }
            if (!goOn()) {
                return;
            }
            after.template = templateOf(own.grey, after.cutout, scale);
            const before = this.#sighting(id, after.t_s - SAME_S, -1);
            const from_s = before ? before.t_s : after.t_s - this.hop_s - SAME_S;
            const between = pictures.filter(({ t_s }) => t_s >= from_s - SAME_S && t_s <= until_s);
            after.path = pathBetween(before, after, between, scale);
        }
        result.learnt = true;
    }

    /**
     * What is drawn over a picture.
     * @param {number} generation
     * @param {number} t_s stream time of the picture
     * @returns {{result: object|null, tracks: DrawnTrack[], age_s: number|null}} `age_s`: how far the newest
     *     result lies behind the picture
     */
    at(generation, t_s) {
        if (generation !== this.generation || !this.newest) {
            return { result: null, tracks: [], age_s: null };
        }
        const age_s = Math.max(0, t_s - this.newest.frame_t_s);
        const result = this.owner(t_s);
        const tracks = [];
        for (const track of result?.tracks ?? this.#standIn(t_s)) {
            const place = this.#placeOf(track.id, t_s);
            if (place) {
                tracks.push(this.#drawn(track, place, false, result ?? this.newest));
            }
        }
        for (const id of result?.unheard ?? []) {
            const place = this.#placeOf(id, t_s);
            if (place) {
                const { sounding } = result.sightings.get(id).track;
                tracks.push({ id, label: '', p: null, sounding, silent: true, candidate: true, ...place });
            }
        }
        // Without what the model says of silence: where those are that have fallen silent, as far as is known.
        const unknown = (result ?? this.newest).unheard === null;
        for (const sighting of unknown ? this.#silent(t_s, new Set(tracks.map(({ id }) => id))) : []) {
            const { x, y, width, height } = sighting.cutout;
            const place = { box: [x, y, width, height], shape: sighting.shape };
            tracks.push(this.#drawn(sighting.track, place, true, result ?? this.newest));
        }
        tracks.sort((a, b) => a.id - b.id);
        return { result, tracks, age_s };
    }

    /** Where the hop's own result is not there: what sounded before and after it, or, for a hop, before. */
    #standIn(t_s) {
        const before = this.results.findLast(({ end_s }) => end_s <= t_s + SAME_S);
        const after = this.results.find(({ end_s }) => end_s > t_s + SAME_S);
        const said = before && t_s - before.end_s < this.hop_s ? before.tracks : [];
        return said.filter(({ id }) => !after || after.sightings.has(id));
    }

    #drawn(track, { box, shape }, silent, result) {
        const newest = this.labels.get(track.id);
        const { label, p } = newest && newest.revision > result.vocabulary_revision ? newest : track;
        return {
            id: track.id,
            label: nameOf({ id: track.id, label }),
            p,
            sounding: silent ? 0 : track.sounding,
            silent,
            candidate: false,
            box,
            shape,
        };
    }

    /** The sighting of a track nearest to a moment: at or before it (-1), or after it (+1). */
    #sighting(id, t_s, side) {
        if (side < 0) {
            for (let index = this.results.length - 1; index >= 0; index -= 1) {
                const found = this.results[index].frame_t_s <= t_s && this.results[index].sightings.get(id);
                if (found) {
                    return t_s - found.t_s <= HOPS_APART * this.hop_s ? found : null;
                }
            }
            return null;
        }
        for (const { frame_t_s, sightings } of this.results) {
            const found = frame_t_s > t_s && sightings.get(id);
            if (found) {
                return found.t_s - t_s <= HOPS_APART * this.hop_s ? found : null;
            }
        }
        return null;
    }

    #placeOf(id, t_s) {
        const before = this.#sighting(id, t_s + SAME_S, -1);
        const after = this.#sighting(id, t_s + SAME_S, 1);
        if (!before && !after) {
            return null;
        }
        if (before && after && after.t_s - before.t_s <= HOPS_APART * this.hop_s) {
            const share = (t_s - before.t_s) / (after.t_s - before.t_s);
            const along = after.path && onPath(after.path, t_s);
            const [x, y] = along ?? [
                before.x + (after.x - before.x) * share,
                before.y + (after.y - before.y) * share,
            ];
            const width = before.cutout.width + (after.cutout.width - before.cutout.width) * share;
            const height = before.cutout.height + (after.cutout.height - before.cutout.height) * share;
            return {
                box: [x - width / 2, y - height / 2, width, height],
                shape: blend(before.shape, after.shape, Math.min(1, Math.max(0, share))),
            };
        }
        if (before && (!after || t_s - before.t_s < after.t_s - t_s)) {
            const reach_s = Math.min(t_s - before.t_s, this.hop_s);
            const [vx, vy] = this.#velocity(id, before);
            return placed(before, before.x + vx * reach_s, before.y + vy * reach_s);
        }
        if (after.template === undefined && after.t_s - t_s > NEAR_S) {
            return null; // it has just begun to sound, and where it was before is not known yet
        }
        const [x, y] = (after.path && onPath(after.path, t_s)) ?? [after.x, after.y];
        return placed(after, x, y);
    }

    /** Pixels per second at a sighting. */
    #velocity(id, sighting) {
        const { path } = sighting;
        if (path && path.length >= 4) {
            const from = path[path.length - 4];
            const span_s = sighting.t_s - from.t_s;
            if (span_s > SAME_S) {
                return [(sighting.x - from.x) / span_s, (sighting.y - from.y) / span_s];
            }
        }
        const before = this.#sighting(id, sighting.t_s - SAME_S, -1);
        if (!before) {
            return [0, 0];
        }
        const span_s = sighting.t_s - before.t_s;
        return [(sighting.x - before.x) / span_s, (sighting.y - before.y) / span_s];
    }

    /** The last sightings of tracks that have sounded lately and do not now. */
    #silent(t_s, present) {
        const found = new Map();
        for (let index = this.results.length - 1; index >= 0; index -= 1) {
            const { frame_t_s, sightings } = this.results[index];
            if (frame_t_s > t_s) {
                continue;
            }
            if (t_s - frame_t_s > this.silent_s) {
                break;
            }
            for (const [id, sighting] of sightings) {
                if (!present.has(id) && !found.has(id)) {
                    found.set(id, sighting);
                }
            }
        }
        return found.values();
    }
}

function sightingOf(track, result) {
    let cutout;
    try {
        cutout = decodeMask(track.mask, result.height, result.width);
    } catch {
        return null; // a damaged mask is no mask; the name is still in the list
    }
    return (
        cutout && {
            t_s: result.frame_t_s,
            track,
            cutout,
            x: cutout.x + cutout.width / 2,
            y: cutout.y + cutout.height / 2,
            shape: shapeOf(cutout),
            template: undefined,
            path: null,
        }
    );
}

/** The picture nearest to a moment, if it is near. */
function nearest(pictures, wanted_s) {
    let found = null;
    for (const picture of pictures) {
        const off_s = Math.abs(picture.t_s - wanted_s);
        if (off_s < NEAR_S && (!found || off_s < Math.abs(found.t_s - wanted_s))) {
            found = picture;
        }
    }
    return found;
}

function placed({ cutout: { width, height }, shape }, x, y) {
    return { box: [x - width / 2, y - height / 2, width, height], shape };
}

/**
 * The way of a track to a sighting, as found in the pictures.
 * @param {Sighting|null} before the sighting before, if there is one
 * @param {Sighting} after
 * @param {{t_s: number, grey: import('./motion.js').Grey}[]} pictures from the one to the other
 * @param {number} scale small pixels per pixel
 * @returns {{t_s: number, x: number, y: number}[]|null}
 */
function pathBetween(before, after, pictures, scale) {
    const width = pictures.length ? pictures[0].grey.width / scale : 0;
    const forth = before?.template
        ? follow(
              before.template,
              pictures.slice(1).map(({ grey }) => grey),
          )
        : [];
    const whole = before && forth.length === pictures.length - 1 && forth.length > 0;
    const reversed = pictures.slice(0, -1).reverse();
    const back = after.template
        ? follow(
              after.template,
              reversed.map(({ grey }) => grey),
          )
        : [];
    const at = (sighting, shift) => ({ x: sighting.x + shift.dx / scale, y: sighting.y + shift.dy / scale });
    if (!before) {
        const path = back
            .map((shift, index) => ({ t_s: reversed[index].t_s, ...at(after, shift) }))
            .reverse();
        return [...path, { t_s: after.t_s, x: after.x, y: after.y }];
    }
    const span_s = after.t_s - before.t_s;
    const ways = [];
    if (whole) {
        const end = at(before, forth[forth.length - 1]);
        const miss = [after.x - end.x, after.y - end.y];
        if (Math.hypot(...miss) < MISS * width) {
            ways.push({
                weight: (share) => 1 - share,
                at: (index, share) => {
                    const { x, y } = index ? at(before, forth[index - 1]) : before;
                    return [x + miss[0] * share, y + miss[1] * share];
                },
            });
        }
    }
    if (back.length === reversed.length && back.length > 0) {
        const start = at(after, back[back.length - 1]);
        const miss = [before.x - start.x, before.y - start.y];
        if (Math.hypot(...miss) < MISS * width) {
            ways.push({
                weight: (share) => share,
                at: (index, share) => {
                    const steps = pictures.length - 1 - index;
                    const { x, y } = steps ? at(after, back[steps - 1]) : after;
                    return [x + miss[0] * (1 - share), y + miss[1] * (1 - share)];
                },
            });
        }
    }
    if (!ways.length) {
        return null;
    }
    return pictures.map(({ t_s }, index) => {
        const share = Math.min(1, Math.max(0, (t_s - before.t_s) / span_s));
        let [x, y, weights] = [0, 0, 0];
        for (const way of ways) {
            const weight = ways.length === 1 ? 1 : way.weight(share);
            const [wx, wy] = way.at(index, share);
            x += weight * wx;
            y += weight * wy;
            weights += weight;
        }
        return { t_s, x: x / weights, y: y / weights };
    });
}

/** The place on a path at a moment; null where the path does not reach it. */
function onPath(path, t_s) {
    if (!path.length || t_s > path[path.length - 1].t_s + SAME_S) {
        return null;
    }
    if (t_s <= path[0].t_s) {
        return [path[0].x, path[0].y];
    }
    const index = path.findIndex((point) => point.t_s >= t_s - SAME_S);
    const after = path[index];
    const before = path[Math.max(0, index - 1)];
    const span_s = after.t_s - before.t_s;
    const share = span_s > 0 ? Math.min(1, (t_s - before.t_s) / span_s) : 1;
    return [before.x + (after.x - before.x) * share, before.y + (after.y - before.y) * share];
}

function boxOverlap(a, b) {
    const across = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
    const down = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
    const both = Math.max(0, across) * Math.max(0, down);
    return both / (a.width * a.height + b.width * b.height - both);
}
