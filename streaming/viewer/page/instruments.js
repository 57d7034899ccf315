/**
 * Spectrogram and timeline of one source, drawn on one axis of time that ends now.
 */
import { BANDS, COLUMN_S } from './mel.js';
import { SPAN_S } from './history.js';
import { AMBER, INK, WHITE, css, mix, trackColour } from './look.js';
import { Peek } from './peek.js';

const TICK_S = 30;
/** How much closer than usual rows may stand. */
const CLOSEST = 0.62;
const RAMPS = {
    dark: [
        [16, 18, 24],
        [34, 32, 74],
        [92, 60, 150],
        [196, 78, 96],
        [255, 150, 40],
        [255, 214, 110],
        [255, 250, 235],
    ],
    light: [
        [250, 250, 252],
        [222, 222, 242],
        [172, 160, 224],
        [126, 92, 190],
        [150, 50, 110],
        [120, 30, 40],
        [40, 16, 20],
    ],
};
/** Levels of sound below this share of the scale are ground, so that hiss stays dark. */
const GROUND = 0.16;

function rampOf(theme) {
    const stops = RAMPS[theme];
    return Array.from({ length: 256 }, (_, level) => {
        const share = Math.max(0, level / 255 - GROUND) / (1 - GROUND);
        const at = Math.min(stops.length - 1.001, share * 1.15 * (stops.length - 1));
        return mix(stops[Math.floor(at)], stops[Math.floor(at) + 1], at % 1);
    });
}

/** Brings a canvas to the size it is shown at; returns its context and size in CSS pixels. */
function fitted(canvas, width, height) {
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const [across, down] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
    if (canvas.width !== across || canvas.height !== down) {
        canvas.width = across;
        canvas.height = down;
    }
    const context = canvas.getContext('2d');
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
}

export class Instruments {
    /**
     * @param {HTMLElement} root holds the elements of `#instruments` in index.html
     * @param {{theme: () => 'dark'|'light', threshold: () => number}} view
     */
    constructor(root, view) {
        const find = (selector) => root.querySelector(selector);
        this.root = root;
        this.view = view;
        this.spectrum = find('#spectrum');
        this.bars = find('#bars');
        this.names = find('#names');
        this.rowsBox = find('#rows');
        this.outside = find('#outside');
        this.outsideName = find('#outside-name');
        this.axis = find('#axis');
        this.area = find('#lanes');
        this.empty = find('#no-rows');
        this.source = null;
        this.now_s = null;
        this.sheet = document.createElement('canvas');
        this.sheetFor = null;
        this.peek = new Peek(root, view.threshold);
        this.rowsBox.addEventListener('scroll', () => {
            this.names.style.transform = `translateY(${-this.rowsBox.scrollTop}px)`;
        });
        new ResizeObserver(() => {
            this.width = this.area.clientWidth;
            this.laneHeight = this.spectrum.clientHeight;
            this.dirty = true;
        }).observe(this.area);
        this.width = this.area.clientWidth;
    }

    /** Which source is shown; null for none. */
    show(source) {
        if (source !== this.source) {
            this.source = source;
            this.sheetFor = null;
            this.peek.show(source);
        }
    }

    /** The theme has changed, or the source's columns are others. */
    repaint() {
        this.sheetFor = null;
    }

    /**
     * New columns have come for a source.
     * @param {object} source
     * @param {number[]} columns absolute numbers
     */
    heard(source, columns) {
        if (source === this.source && this.sheetFor === source) {
            this.#paintColumns(columns);
        }
    }

    #paintColumns(columns) {
        const context = this.sheet.getContext('2d');
        const { mel } = this.source;
        for (const at of columns) {
            const levels = mel.column(at);
            const pixels = context.createImageData(1, BANDS);
            for (let band = 0; band < BANDS; band += 1) {
                const [r, g, b] = this.ramp[levels ? levels[band] : 0];
                pixels.data.set([r, g, b, levels ? 255 : 0], 4 * (BANDS - 1 - band));
            }
            context.putImageData(pixels, ((at % mel.size) + mel.size) % mel.size, 0);
        }
    }

    #prepareSheet() {
        const { mel } = this.source;
        this.ramp = rampOf(this.view.theme());
        this.sheet.width = mel.size;
        this.sheet.height = BANDS;
        this.sheetFor = this.source;
        this.#paintColumns([...mel.stamps].filter((at) => at >= 0));
    }

    /**
     * Draws everything for a moment.
     * @param {number|null} now_s right edge on the source's line of time, s
     */
    draw(now_s) {
        this.now_s = now_s;
        if (!this.source || now_s === null || !this.width) {
            return;
        }
        if (this.sheetFor !== this.source) {
            this.#prepareSheet();
        }
        this.#drawSpectrum(now_s);
        this.#drawRows(now_s);
        this.peek.draw(now_s);
    }

    #x(line_s) {
        return this.width * (1 - (this.now_s - line_s) / SPAN_S);
    }

    #ticks(context, height) {
        const light = this.view.theme() === 'light';
        context.fillStyle = light ? css(INK, 0.12) : css(WHITE, 0.1);
        for (let back_s = TICK_S; back_s < SPAN_S; back_s += TICK_S) {
            context.fillRect(Math.round(this.width * (1 - back_s / SPAN_S)), 0, 1, height);
        }
    }

    #drawSpectrum(now_s) {
        const { mel } = this.source;
        const height = this.spectrum.clientHeight;
        const context = fitted(this.spectrum, this.width, height);
        const across = SPAN_S / COLUMN_S;
        const last = now_s / COLUMN_S;
        const first = last - across;
        const scale = this.width / across;
        context.imageSmoothingEnabled = true;
        // The sheet is a ring: what is shown lies on it in one piece or in two.
        for (let from = Math.max(0, first); from < last;) {
            const ring = from % mel.size;
            const length = Math.min(last - from, mel.size - ring);
            if (length <= 0.01) {
                from += 0.01;
                continue;
            }
            context.drawImage(
                this.sheet,
                ring,
                0,
                length,
                BANDS,
                (from - first) * scale,
                0,
                length * scale,
                height,
            );
            from += length;
        }
        this.#ticks(context, height);
    }

    #drawRows(now_s) {
        const rows = this.source.history.rows(now_s, this.view.threshold());
        this.#nameRows(rows);
        const tall = this.#rowHeight(rows.length);
        const height = Math.max(this.rowsBox.clientHeight, rows.length * tall);
        this.bars.style.height = `${height}px`;
        const context = fitted(this.bars, this.width, height);
        this.#ticks(context, height);
        rows.forEach((row, index) => {
            if (row) {
                this.#bar(context, row.spans, trackColour(row.id), index * tall, tall);
            }
        });
        const outside = fitted(this.outside, this.width, this.outside.clientHeight);
        this.#ticks(outside, this.outside.clientHeight);
        const spans = this.source.history.offscreen(now_s);
        this.#bar(outside, spans, AMBER, 0, this.outside.clientHeight);
        this.outsideName.dataset.sounds = String(spans.some(({ end_s }) => end_s > now_s));
        this.#gaps(context, height, now_s);
    }

    /** More rows than there is room for are drawn closer, and only then scrolled. */
    #rowHeight(count) {
        const usual = this.outside.clientHeight || 28;
        const tall = Math.round(
            Math.max(CLOSEST * usual, Math.min(usual, this.rowsBox.clientHeight / Math.max(1, count))),
        );
        if (tall !== this.tall) {
            this.tall = tall;
            this.names.style.setProperty('--tall', `${tall}px`);
            this.names.style.setProperty('--scale', Math.min(1, tall / usual + 0.12).toFixed(3));
        }
        return tall;
    }

    #bar(context, spans, colour, top, tall) {
        const light = this.view.theme() === 'light';
        const inset = Math.round(tall * 0.19);
        let index = 0;
        while (index < spans.length) {
            let last = index;
            while (last + 1 < spans.length && spans[last + 1].from_s - spans[last].end_s < 0.05) {
                last += 1;
            }
            const left = this.#x(spans[index].from_s);
            const right = Math.min(this.width, this.#x(spans[last].end_s));
            if (right > 0 && right > left) {
                context.save();
                context.beginPath();
                context.roundRect(left, top + inset, Math.max(2, right - left), tall - 2 * inset, 4);
                context.clip();
                for (let at = index; at <= last; at += 1) {
                    const from = this.#x(spans[at].from_s);
                    context.fillStyle = css(colour, 0.5 + 0.5 * spans[at].sounding);
                    context.fillRect(from, top, this.#x(spans[at].end_s) - from + 0.5, tall);
                }
                context.restore();
                if (light) {
                    context.strokeStyle = css(mix(colour, INK, 0.5));
                    context.lineWidth = 1;
                    context.beginPath();
                    context.roundRect(
                        left + 0.5,
                        top + inset + 0.5,
                        Math.max(1, right - left - 1),
                        tall - 2 * inset - 1,
                        3.5,
                    );
                    context.stroke();
                }
            }
            index = last + 1;
        }
    }

    /** Where something of the stream is missing: a fine hatching. */
    #gaps(context, height, now_s) {
        context.strokeStyle = this.view.theme() === 'light' ? css(INK, 0.28) : css(WHITE, 0.26);
        context.lineWidth = 1;
        for (const { gap, from_s, end_s } of this.source.history.hops) {
            if (!gap || end_s < now_s - SPAN_S || from_s > now_s) {
                continue;
            }
            const left = this.#x(from_s);
            const right = Math.max(left + 3, this.#x(end_s));
            context.save();
            context.beginPath();
            context.rect(left, 0, right - left, height);
            context.clip();
            context.beginPath();
            for (let x = left - height; x < right; x += 5) {
                context.moveTo(x, height);
                context.lineTo(x + height, 0);
            }
            context.stroke();
            context.restore();
        }
    }

    #nameRows(rows) {
        while (this.names.children.length < rows.length) {
            const item = document.createElement('li');
            const swatch = document.createElement('i');
            const name = document.createElement('span');
            item.append(swatch, name);
            this.names.append(item);
        }
        while (this.names.children.length > rows.length) {
            this.names.lastElementChild.remove();
        }
        rows.forEach((row, index) => {
            const item = this.names.children[index];
            const [swatch, name] = item.children;
            const text = row?.name ?? '';
            if (name.textContent !== text) {
                name.textContent = text;
                item.title = text;
            }
            const key = row?.key ?? '';
            if (item.dataset.key !== key) {
                item.dataset.key = key;
                swatch.style.backgroundColor = row ? css(trackColour(row.id)) : 'transparent';
            }
            const sounds = String(Boolean(row?.sounds));
            if (item.dataset.sounds !== sounds) {
                item.dataset.sounds = sounds;
            }
        });
        this.empty.hidden = rows.length > 0;
    }
}
