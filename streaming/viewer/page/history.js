/** What sounded in the last two minutes: hops on a line of time, and the rows they make. Pure. */
import { nameOf } from './look.js';

/** How far the timeline looks back, s. */
export const SPAN_S = 120;
const MOST_ROWS = 40;

/** The hops of one source. */
export class History {
    /** @param {number} hop_s */
    constructor(hop_s) {
        this.hop_s = hop_s;
        this.hops = [];
        this.names = new Map();
        this.slots = [];
    }

    /**
     * @param {object} hop as `checkedHop` or `checkedResult` returns it
     * @param {(generation: number, t_s: number) => number} place on the line of time
     */
    add(hop, place) {
        const end_s = place(hop.generation, hop.t_s + hop.dur_s);
        const known = this.hops.findLastIndex(
            ({ generation, seq }) => generation === hop.generation && seq === hop.seq,
        );
        const kept = {
            generation: hop.generation,
            seq: hop.seq,
            from_s: end_s - this.hop_s,
            end_s,
            tracks: hop.tracks.map(({ id, sounding }) => ({ key: String(id), id, sounding })),
            offscreen: hop.offscreen,
            offscreen_text: hop.offscreen_text,
            audio_dbfs: hop.audio_dbfs,
            gap: hop.gap,
        };
        for (const track of hop.tracks) {
            this.names.set(String(track.id), nameOf(track)); // of an id, there is one in a run
        }
        if (known >= 0) {
            this.hops[known] = kept;
            return;
        }
        let index = this.hops.length;
        while (index > 0 && this.hops[index - 1].end_s > end_s) {
            index -= 1;
        }
        this.hops.splice(index, 0, kept);
        const oldest_s = this.hops[this.hops.length - 1].end_s - SPAN_S - 30;
        while (this.hops[0].end_s < oldest_s) {
            this.hops.shift();
        }
    }

    clear() {
        this.hops = [];
    }

    /**
     * The hop that covers a moment.
     * @param {number} line_s
     * @returns {object|null}
     */
    at(line_s) {
        return (
            this.hops.findLast(({ from_s, end_s }) => from_s <= line_s + 1e-3 && line_s < end_s - 1e-3) ??
            null
        );
    }

    /**
     * The rows of the timeline: one per object that sounded in the last two minutes. A row stays in its place
     * for as long as it is there; a new one takes the first free place.
     * @param {number} now_s right edge, on the line of time
     * @param {number} threshold from which on a track counts as sounding, 0..1
     * @returns {{key: string, id: number, name: string, sounds: boolean, spans: {from_s: number, end_s: number,
     *     sounding: number}[], total_s: number}[]}
     */
    rows(now_s, threshold = 0) {
        const rows = new Map();
        for (const { from_s, end_s, tracks } of this.hops) {
            if (end_s < now_s - SPAN_S || from_s > now_s) {
                continue;
            }
            for (const { key, id, sounding } of tracks) {
                if (sounding < threshold) {
                    continue;
                }
                if (!rows.has(key)) {
                    rows.set(key, {
                        key,
                        id,
                        name: this.names.get(key),
                        sounds: false,
                        spans: [],
                        total_s: 0,
                    });
                }
                const row = rows.get(key);
                row.spans.push({ from_s, end_s, sounding });
                row.total_s += end_s - from_s;
                row.sounds = end_s > now_s;
            }
        }
        let wanted = [...rows.values()];
        if (wanted.length > MOST_ROWS) {
            wanted.sort((a, b) => b.spans.at(-1).end_s - a.spans.at(-1).end_s);
            wanted = wanted.slice(0, MOST_ROWS);
        }
        const keys = new Set(wanted.map(({ key }) => key));
        this.slots = this.slots.map((key) => (keys.has(key) ? key : null));
        for (const { key } of wanted) {
            if (!this.slots.includes(key)) {
                const free = this.slots.indexOf(null);
                this.slots[free < 0 ? this.slots.length : free] = key;
            }
        }
        while (this.slots.length && this.slots.at(-1) === null) {
            this.slots.pop();
        }
        return this.slots.map((key) => (key === null ? null : rows.get(key)));
    }

    /**
     * When something sounded off-screen.
     * @param {number} now_s right edge, on the line of time
     * @returns {{from_s: number, end_s: number, sounding: number}[]}
     */
    offscreen(now_s) {
        return this.hops
            .filter(({ offscreen, from_s, end_s }) => offscreen && end_s >= now_s - SPAN_S && from_s <= now_s)
            .map(({ from_s, end_s }) => ({ from_s, end_s, sounding: 1 }));
    }
}
