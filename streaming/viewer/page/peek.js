/** The moment under the pointer: a line through all rows, its picture, and what sounded. */
import { SPAN_S } from './history.js';
import { clockText, fromOffScreen } from './look.js';
import { run } from './run.js';

const WAIT_MS = 140;
/** How long the frame stays after a touch. */
const TOUCHED_MS = 5000;

/** A picture is fetched by hand, so that one that is gone is no error. */
async function fetched(url) {
    if (run.connection !== 'open') {
        return null;
    }
    try {
        const answer = await fetch(url);
        return answer.ok ? await answer.blob() : null;
    } catch {
        return null;
    }
}

export class Peek {
    /**
     * @param {HTMLElement} root holds the elements of `#instruments` in index.html
     * @param {() => number} threshold from which on a track counts as sounding, 0..1
     */
    constructor(root, threshold) {
        const find = (selector) => root.querySelector(selector);
        this.threshold = threshold;
        this.area = find('#lanes');
        this.cursor = find('#cursor');
        this.card = find('#peek');
        this.image = find('#peek-image');
        this.gone = find('#peek-gone');
        this.time = find('#peek-time');
        this.text = find('#peek-text');
        this.source = null;
        this.now_s = null;
        /** @type {number|null} the moment, on the source's line of time */
        this.line_s = null;
        this.wanted = null;
        this.timer = 0;
        this.leaveTimer = 0;
        this.#listen();
    }

    /** @param {import('./source.js').Source|null} source */
    show(source) {
        this.source = source;
        this.#leave();
    }

    /** @param {number} now_s right edge on the source's line of time */
    draw(now_s) {
        this.now_s = now_s;
        if (this.line_s !== null) {
            this.#tell();
            this.#place();
        }
    }

    #listen() {
        const seconds = (event) => {
            const { left, width } = this.area.getBoundingClientRect();
            const share = Math.min(1, Math.max(0, (event.clientX - left) / width));
            return this.now_s === null ? null : this.now_s - SPAN_S * (1 - share);
        };
        this.area.addEventListener('pointermove', (event) => this.#at(seconds(event)));
        this.area.addEventListener('pointerdown', (event) => this.#at(seconds(event)));
        this.area.addEventListener('pointerleave', ({ pointerType }) => {
            if (pointerType === 'mouse') {
                this.#leave();
            } else {
                clearTimeout(this.leaveTimer); // a finger is taken away to look
                this.leaveTimer = setTimeout(() => this.#leave(), TOUCHED_MS);
            }
        });
        this.area.addEventListener('blur', () => this.#leave());
        this.area.addEventListener('keydown', (event) => {
            const step_s = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
            if (event.key === 'Escape' && this.line_s !== null) {
                this.#leave();
                event.stopPropagation();
            } else if (step_s && this.now_s !== null) {
                event.preventDefault();
                const from_s = this.line_s ?? this.now_s;
                this.#at(Math.min(this.now_s, Math.max(this.now_s - SPAN_S, from_s + step_s)));
            }
        });
    }

    #at(line_s) {
        if (line_s === null || !this.source) {
            return;
        }
        this.line_s = line_s;
        clearTimeout(this.leaveTimer);
        const { generation, t_s } = this.#tell();
        this.card.hidden = false;
        this.cursor.hidden = false;
        this.#place();
        clearTimeout(this.timer);
        this.timer = setTimeout(() => {
            this.#load(generation, t_s);
        }, WAIT_MS);
    }

    /** Says what is known of the moment; returns when it is. */
    #tell() {
        const { history, segments } = this.source;
        const hop = history.at(this.line_s);
        const generation = hop?.generation ?? segments.newest;
        const t_s = segments.back(generation, this.line_s);
        const back_s = this.now_s - this.line_s;
        const time = `${clockText(t_s)}  ·  ${back_s < 0.5 ? 'now' : `${Math.round(back_s)} s ago`}`;
        const told = this.#told(hop);
        if (this.time.textContent !== time) {
            this.time.textContent = time;
        }
        if (this.text.textContent !== told) {
            this.text.textContent = told;
        }
        return { generation, t_s };
    }

    /** The server keeps more pictures than the page; the page keeps its own when there is no server any more. */
    async #load(generation, t_s) {
        const { id, stills } = this.source;
        const url = `frame?${new URLSearchParams({ source: id, generation, t_s: t_s.toFixed(3) })}`;
        this.wanted = url;
        const own = stills.near(generation, t_s);
        const found = (await fetched(url)) ?? (own && new Blob([own], { type: 'image/jpeg' }));
        if (this.wanted !== url || this.line_s === null) {
            return;
        }
        if (this.image.src.startsWith('blob:')) {
            URL.revokeObjectURL(this.image.src);
        }
        this.image.hidden = !found;
        this.gone.hidden = Boolean(found);
        if (found) {
            this.image.src = URL.createObjectURL(found);
        } else {
            this.image.removeAttribute('src');
        }
    }

    #told(hop) {
        if (!hop) {
            return 'nothing is known of this moment';
        }
        const names = hop.tracks
            .filter(({ sounding }) => sounding >= this.threshold())
            .map(({ key }) => this.source.history.names.get(key));
        if (hop.offscreen) {
            names.push(fromOffScreen(hop.offscreen_text));
        }
        return names.length ? names.join(', ') : 'nothing sounded';
    }

    #place() {
        const width = this.area.clientWidth;
        const share = 1 - (this.now_s - this.line_s) / SPAN_S;
        const x = width * Math.min(1, Math.max(0, share));
        this.cursor.style.transform = `translateX(${Math.round(x)}px)`;
        const wide = this.card.offsetWidth;
        const { left, top } = this.area.getBoundingClientRect();
        const most = Math.min(left + width, document.documentElement.clientWidth - 8) - wide;
        this.card.style.left = `${Math.max(8, Math.min(most, left + x - wide / 2))}px`;
        this.card.style.top = `${Math.max(8, top - this.card.offsetHeight - 8)}px`;
    }

    #leave() {
        this.line_s = null;
        this.wanted = null;
        clearTimeout(this.timer);
        this.card.hidden = true;
        this.cursor.hidden = true;
    }
}
