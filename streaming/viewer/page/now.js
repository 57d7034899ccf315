/** What sounds now, in words that can be read from across the room, and how loud it is. */
import { css, offscreenName, trackColour } from './look.js';
import { Meter } from './mel.js';
import { METER_FLOOR_DBFS } from './painter.js';
import { find, focused, isOfNow, run } from './run.js';

const WORDS_EVERY_MS = 250;
const LEVEL_EVERY_MS = 30;
const LEVEL_TOLD_EVERY_MS = 200;
const MOST = 5;

let shown = '';
let shown_ms = 0;

/**
 * The line of what sounds now.
 * @param {number} threshold from which on a track counts as sounding, 0..1
 * @param {boolean} at_once rather than when it is time
 */
export function showNow(threshold, at_once = false) {
    const now_ms = performance.now();
    if (!at_once && now_ms - shown_ms < WORDS_EVERY_MS) {
        return;
    }
    shown_ms = now_ms;
    const entries = entriesOf(threshold);
    const none = otherwise();
    const key = JSON.stringify([...entries, none]);
    if (key === shown) {
        return;
    }
    shown = key;
    const left = entries.length > MOST ? entries.length - MOST : 0;
    const items = entries.slice(0, MOST).map(itemOf);
    if (left || !items.length) {
        const item = document.createElement('li');
        item.className = 'now-none';
        item.textContent = left ? `and ${left} more` : none;
        items.push(item);
    }
    find('#now').replaceChildren(...items);
}

/** What is said where nothing sounds. */
function otherwise() {
    if (run.ended) {
        return 'The run is over';
    }
    if (run.connection !== 'open') {
        return 'No connection';
    }
    return [...run.sources.values()].some(({ picture }) => picture) ? 'Nothing' : 'Waiting for a picture';
}

/** Of all sources that are seen, what sounds: once for each name and colour, and where. */
function entriesOf(threshold) {
    const seen = run.mode === 'grid' ? [...run.sources.values()] : [focused()].filter(Boolean);
    const entries = new Map();
    const add = (text, colour, source) => {
        const key = `${colour}${text}`;
        entries.set(key, entries.get(key) ?? { text, colour, where: [] });
        const { where } = entries.get(key);
        if (seen.length > 1 && !where.includes(source.id)) {
            where.push(source.id);
        }
    };
    for (const source of seen.filter(isOfNow)) {
        const { tracks, offscreen, offscreen_text } = source.sounding(threshold);
        for (const track of [...tracks].sort((a, b) => a.id - b.id)) {
            add(track.label, css(trackColour(track.id)), source);
        }
        if (offscreen) {
            add(offscreenName(offscreen_text), '', source);
        }
    }
    return [...entries.values()];
}

function itemOf({ text, where, colour }) {
    const item = document.createElement('li');
    const swatch = document.createElement('i');
    swatch.setAttribute('aria-hidden', 'true');
    if (colour) {
        swatch.style.backgroundColor = colour;
    } else {
        swatch.className = 'outside';
    }
    const words = document.createElement('span');
    words.textContent = text;
    item.append(swatch, words);
    if (where.length) {
        const places = document.createElement('small');
        places.textContent = where.join(', ');
        item.append(places);
    }
    return item;
}

/** The level meter beside the spectrogram. */
export class Level {
    constructor() {
        this.meter = new Meter();
        this.bar = find('#level i');
        this.text = find('#level-text');
        this.box = find('#level');
        this.drawn_ms = 0;
        this.told_ms = 0;
    }

    /**
     * @param {number|null} line_s the moment on the line of time of the source in focus
     * @param {number} now_ms
     */
    draw(line_s, now_ms) {
        if (run.paused || now_ms - this.drawn_ms < LEVEL_EVERY_MS) {
            return;
        }
        this.drawn_ms = now_ms;
        const source = focused();
        const mute = source?.has_audio === false;
        const heard = source && line_s !== null && !mute && isOfNow(source) ? source.mel.level(line_s) : null;
        const dbfs = this.meter.next(heard ?? -120, now_ms / 1000);
        const share = Math.max(0, 1 - dbfs / METER_FLOOR_DBFS);
        this.bar.style.transform = `scaleX(${(1 - share).toFixed(3)})`;
        if (now_ms - this.told_ms > LEVEL_TOLD_EVERY_MS) {
            this.told_ms = now_ms;
            const level = Math.round(Math.max(METER_FLOOR_DBFS, dbfs));
            const quiet = dbfs <= METER_FLOOR_DBFS ? 'silence' : `${level} dBFS`.replace('-', '−');
            this.text.textContent = mute ? 'no sound' : quiet;
            this.box.setAttribute('aria-valuenow', String(level));
        }
    }
}
