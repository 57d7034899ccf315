/** The tile of one source: its picture, its state and its figures. */
import { fromOffScreen, oneLine } from './look.js';

const STATES = {
    starting: 'starting',
    connecting: 'connecting',
    live: 'live',
    lost: 'lost',
    ready: 'playing',
    done: 'ended',
    again: 'played again',
};
const VEILS = {
    starting: 'is starting',
    connecting: 'is being connected',
    lost: 'is lost',
    done: 'has ended',
};

function element(name, className, parent, text = '') {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    parent.append(made);
    return made;
}

function put(target, text) {
    if (target.textContent !== text) {
        target.textContent = text;
    }
}

export class Tile {
    /**
     * @param {import('./source.js').Source} source
     * @param {HTMLElement} parent
     * @param {() => void} chosen the tile is clicked
     */
    constructor(source, parent, chosen) {
        this.source = source;
        this.root = element('article', 'tile', parent);
        this.root.dataset.source = source.id;
        this.root.setAttribute('aria-label', `Source ${source.id}`);
        this.screen = element('div', 'tile-screen', this.root);
        this.canvas = element('canvas', 'tile-canvas', this.screen);
        this.canvas.setAttribute('role', 'img');
        this.canvas.setAttribute('aria-label', `Picture of ${source.id}`);
        this.veil = element('p', 'tile-veil', this.screen);
        this.open = element('button', 'tile-open', this.screen);
        this.open.type = 'button';
        this.open.addEventListener('click', chosen);
        this.still = element('img', 'tile-still', this.screen);
        this.still.alt = '';
        this.still.hidden = true;
        const caption = element('div', 'tile-caption', this.root);
        const title = element('p', 'tile-title', caption);
        element('i', 'dot', title).setAttribute('aria-hidden', 'true');
        element('strong', '', title, source.id);
        this.state = element('span', 'tile-state', title, 'waiting');
        const figures = element('dl', 'figures', caption);
        this.figures = {};
        for (const [key, name, title_] of [
            ['rate', 'rate', 'Pictures a second, as the source gives them'],
            ['latency', 'latency', 'From the end of a snippet to its result, half of them and 95 of 100'],
            ['age', 'masks', 'How far the newest result lies behind the picture that is shown'],
            ['behind', 'behind live', 'How far the picture that is shown lies behind the newest one'],
            ['lost', 'drops', 'What was left out'],
        ]) {
            const group = element('div', `figure figure-${key}`, figures);
            group.title = title_;
            element('dt', '', group, name);
            this.figures[key] = element('dd', '', group, '–');
        }
        new ResizeObserver(() => this.fit()).observe(this.screen);
    }

    /** Brings the canvas to the size it is shown at. */
    fit() {
        const ratio = Math.min(2, window.devicePixelRatio || 1);
        const width = Math.max(1, Math.round(this.screen.clientWidth * ratio));
        const height = Math.max(1, Math.round(this.screen.clientHeight * ratio));
        if (this.canvas.width !== width || this.canvas.height !== height) {
            this.canvas.width = width;
            this.canvas.height = height;
        }
        this.source.dirty = true;
    }

    /** @param {{opacity: number, threshold: number, all: boolean}} view */
    draw(view) {
        return this.source.draw(this.canvas, view);
    }

    /**
     * @param {{enlarged: boolean, focused: boolean, several: boolean, mode: 'grid'|'one'}} place `focused`: its
     *     sound is shown; `several`: there is another source to go to
     */
    arrange({ enlarged, focused, several, mode }) {
        const { id } = this.source;
        this.root.dataset.enlarged = String(enlarged);
        this.root.dataset.focus = String(focused);
        this.still.hidden = mode === 'grid' || enlarged;
        this.open.hidden = !several;
        this.open.setAttribute('aria-label', enlarged ? `Back to all sources, from ${id}` : `Enlarge ${id}`);
    }

    /** Fetches the newest picture, for a tile that is small. */
    async refreshStill() {
        const { newest } = this.source.following;
        if (!newest) {
            return;
        }
        const { generation, frame_t_s } = newest;
        const query = new URLSearchParams({ source: this.source.id, generation, t_s: frame_t_s.toFixed(3) });
        let found = null;
        try {
            const answer = await fetch(`frame?${query}`);
            found = answer.ok ? await answer.blob() : null;
        } catch {
            found = null; // the next one may come
        }
        if (found) {
            const before = this.still.src;
            this.still.src = URL.createObjectURL(found);
            this.still.onload = () => before.startsWith('blob:') && URL.revokeObjectURL(before);
        }
    }

    /** Figures change once a second, so that they can be read. */
    update() {
        const { source } = this;
        const status = source.status ?? {};
        const state = oneLine(status.state ?? 'starting', 20);
        this.root.dataset.state = state;
        put(this.state, STATES[state] ?? state);
        put(this.figures.rate, Number.isFinite(status.fps) ? `${status.fps.toFixed(1)} fps` : '–');
        const [half, most] = [status.latency_p50_ms, status.latency_p95_ms];
        put(
            this.figures.latency,
            Number.isFinite(half) && Number.isFinite(most)
                ? `${Math.round(half)} / ${Math.round(most)} ms`
                : '–',
        );
        put(this.figures.age, source.age_s === null ? '–' : `${source.age_s.toFixed(1)} s old`);
        put(
            this.figures.behind,
            source.behind_s === null || !source.picture ? '–' : `${source.behind_s.toFixed(1)} s`,
        );
        const lost = oneLine(status.lost ?? '', 120);
        put(this.figures.lost, lost || 'none');
        this.figures.lost.title = lost;
        this.figures.lost.parentElement.dataset.some = String(Boolean(lost));
        const veil = source.paused ? '' : VEILS[state];
        const bare = !source.picture;
        put(this.veil, veil ? `${source.id} ${veil}` : bare ? `${source.id}: no picture yet` : '');
        this.veil.hidden = !bare && state !== 'lost';
        const told = `${source.id}. ${this.#told()}.`;
        if (this.canvas.getAttribute('aria-label') !== told) {
            this.canvas.setAttribute('aria-label', told);
        }
    }

    /** What is seen, in words, for whoever does not see it. */
    #told() {
        const { tracks, offscreen, offscreen_text } = this.source.sounding(0);
        const names = tracks.map(({ label }) => label);
        if (offscreen) {
            names.push(fromOffScreen(offscreen_text));
        }
        return names.length ? `Sounding: ${names.join(', ')}` : 'Nothing is sounding';
    }
}
