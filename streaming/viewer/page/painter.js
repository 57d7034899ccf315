/**
 * Draws the answer over a picture: tint, crisp outline with a dark rim, a plate with name and sounding bar at
 * each object, the badge for sound from off-screen, and the strip with stream time and level.
 */
import { AMBER, DIM, FONT, INK, WHITE, clockText, css, offscreenName, styleOf, trackColour } from './look.js';
import { overlap, place } from './layout.js';
import { centreOf, outlinesOf } from './shapes.js';

export const METER_FLOOR_DBFS = -60;
const METER_CELLS = 16;

/**
 * @typedef {object} Frame what is drawn
 * @property {CanvasImageSource|null} image
 * @property {number} width of the picture, pixels
 * @property {number} height of the picture, pixels
 * @property {import('./following.js').DrawnTrack[]} tracks
 * @property {boolean} offscreen
 * @property {string} offscreen_text what that sound is, '' where it is not known
 * @property {string} notice what a person has to know of the run, '' for nothing
 * @property {number} t_s stream time
 * @property {number|null} level_dbfs null for a source without sound
 * @property {{opacity: number, threshold: number, all: boolean}} view
 */

/** Draws one source; remembers where its plates were, so that they do not flicker. */
export class Painter {
    constructor() {
        this.ranks = new Map();
        this.outlines = new WeakMap();
    }

    /**
     * @param {CanvasRenderingContext2D} context
     * @param {{x: number, y: number, width: number, height: number}} area where the picture goes, device pixels
     * @param {Frame} frame
     * @param {number} ratio device pixels per CSS pixel
     * @returns {{id: number, label: string, sounding: number, silent: boolean, box: number[],
     *     centre: number[]}[]} each track as it was drawn, in the picture's pixels
     */
    draw(context, area, frame, ratio) {
        const style = styleOf(area.height / ratio, area.width / ratio, ratio);
        context.save();
        context.beginPath();
        context.rect(area.x, area.y, area.width, area.height);
        context.clip();
        context.translate(area.x, area.y);
        if (frame.image) {
            context.imageSmoothingQuality = 'medium';
            context.drawImage(frame.image, 0, 0, area.width, area.height);
        } else {
            context.fillStyle = css(INK);
            context.fillRect(0, 0, area.width, area.height);
        }
        const scale = [area.width / frame.width, area.height / frame.height];
        const faint = (track) => track.silent || track.sounding < frame.view.threshold;
        const shown = frame.tracks
            .filter((track) => frame.view.all || !faint(track))
            .map((track) => {
                const [x, y, width, height] = track.box;
                const outlines = this.#outlinesOf(track.shape);
                const [cx, cy] = centreOf(outlines);
                return {
                    track,
                    faint: faint(track),
                    path: pathOf(outlines, x * scale[0], y * scale[1], width * scale[0], height * scale[1]),
                    around: {
                        x: x * scale[0],
                        y: y * scale[1],
                        width: width * scale[0],
                        height: height * scale[1],
                    },
                    centre: [x + cx * width, y + cy * height],
                };
            });
        shown.sort((a, b) => Number(b.faint) - Number(a.faint) || a.track.id - b.track.id);
        for (const one of shown.filter(({ track }) => !track.candidate)) {
            paintMask(context, one, style, frame.view.opacity);
        }
        for (const one of shown.filter(({ track }) => track.candidate)) {
            paintCandidate(context, one, style);
        }
        paintGround(context, area, style);
        const strip = style.text + 2 * style.pad;
        const taken = [{ x: 0, y: area.height - strip, width: area.width, height: strip }];
        if (frame.notice) {
            taken.push(paintPill(context, frame.notice, AMBER, style, area, []));
        }
        if (frame.offscreen) {
            const told = offscreenName(frame.offscreen_text);
            taken.push(paintPill(context, told, WHITE, style, area, taken.slice(1), true));
        }
        const within = {
            x: style.pad / 2,
            y: style.pad / 2,
            width: area.width - style.pad,
            height: area.height - strip - style.pad,
        };
        for (const one of shown.filter(({ track }) => !track.candidate)) {
            const others = shown.filter((other) => other !== one).map((other) => other.around);
            taken.push(this.#paintPlate(context, one, style, area, within, taken, others));
        }
        paintStrip(context, frame, style, area);
        context.restore();
        this.#forget(shown);
        return shown.map(({ track, centre }) => ({
            id: track.id,
            label: track.label,
            sounding: track.sounding,
            silent: track.silent,
            candidate: track.candidate === true,
            box: [...track.box],
            centre,
        }));
    }

    #outlinesOf(shape) {
        let outlines = this.outlines.get(shape);
        if (!outlines) {
            outlines = outlinesOf(shape);
            this.outlines.set(shape, outlines);
        }
        return outlines;
    }

    #forget(shown) {
        const present = new Set(shown.map(({ track }) => track.id));
        for (const id of this.ranks.keys()) {
            if (!present.has(id)) {
                this.ranks.delete(id);
            }
        }
    }

    #paintPlate(context, { track, around, centre, faint }, style, area, within, taken, others) {
        const colour = trackColour(track.id);
        const { text, pad } = style;
        context.font = `400 ${text}px ${FONT}`;
        const percent =
            track.p === null || faint
                ? faint && track.silent
                    ? 'silent'
                    : ''
                : `${Math.round(100 * track.p)} %`;
        const percentWidth = percent ? context.measureText(percent).width + pad : 0;
        context.font = `600 ${text}px ${FONT}`;
        const room = Math.max(text, Math.min((2 * area.width) / 3, 20 * text) - percentWidth);
        const label = fitting(context, track.label, room);
        const labelWidth = context.measureText(label).width;
        const bar = Math.max(2, text / 5);
        const stripe = Math.max(3, pad / 2 + 1);
        const inner = Math.max(labelWidth + percentWidth, 3 * text);
        const plate = { width: stripe + inner + 2 * pad, height: text + (faint ? 0 : bar) + 2.3 * pad };
        const box = place(plate, around, within, taken, others, this.ranks.get(track.id) ?? -1);
        this.ranks.set(track.id, box.rank);

        context.globalAlpha = faint ? 0.62 : 1;
        paintLeader(context, box, around, centre, colour, style, area);
        // A shadow in two steps: a blurred one costs more than all the rest where there is no GPU.
        context.fillStyle = css([0, 0, 0], 0.13);
        for (const grown of [pad * 0.5, pad * 0.25]) {
            rounded(
                context,
                box.x - grown,
                box.y - grown + pad / 4,
                box.width + 2 * grown,
                box.height + 2 * grown,
                pad,
            );
            context.fill();
        }
        context.fillStyle = css(INK, 0.84);
        rounded(context, box.x, box.y, box.width, box.height, pad * 0.75);
        context.fill();
        context.save();
        rounded(context, box.x, box.y, box.width, box.height, pad * 0.75);
        context.clip();
        context.fillStyle = css(colour);
        context.fillRect(box.x, box.y, stripe, box.height);
        context.restore();
        const x = box.x + stripe + pad;
        const baseline = box.y + 0.6 * pad + 0.95 * text;
        context.textBaseline = 'alphabetic';
        context.textAlign = 'left';
        context.fillStyle = css(WHITE);
        context.fillText(label, x, baseline);
        if (percent) {
            context.font = `400 ${text}px ${FONT}`;
            context.fillStyle = css(DIM);
            context.fillText(percent, x + labelWidth + pad, baseline);
        }
        if (!faint) {
            const y = box.y + box.height - bar - 0.75 * pad;
            rounded(context, x, y, inner, bar, bar / 2);
            context.fillStyle = css(WHITE, 0.22);
            context.fill();
            context.save();
            context.clip();
            context.fillStyle = css(colour);
            context.fillRect(x, y, inner * track.sounding, bar);
            context.restore();
        }
        context.globalAlpha = 1;
        return box;
    }
}

function pathOf(outlines, x, y, width, height) {
    const path = new Path2D();
    for (const points of outlines) {
        path.moveTo(x + points[0] * width, y + points[1] * height);
        for (let index = 2; index < points.length; index += 2) {
            path.lineTo(x + points[index] * width, y + points[index + 1] * height);
        }
        path.closePath();
    }
    return path;
}

/** What is seen and held for silent: there, and no more. */
function paintCandidate(context, { track, path, around }, style) {
    const dash = Math.max(3, style.text / 3);
    context.save();
    context.lineWidth = Math.max(1, style.text / 14);
    context.setLineDash([dash, dash]);
    context.strokeStyle = css(INK, 0.8);
    context.stroke(path);
    context.lineDashOffset = dash;
    context.strokeStyle = css(WHITE, 0.85);
    context.stroke(path);
    context.restore();
    const told = `silent ${Math.round(100 * track.sounding)} %`;
    context.font = `400 ${0.78 * style.text}px ${FONT}`;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.lineWidth = style.text / 6;
    context.lineJoin = 'round';
    context.strokeStyle = css(INK, 0.8);
    const [x, y] = [around.x + around.width / 2, around.y + around.height / 2];
    context.strokeText(told, x, y);
    context.fillStyle = css(WHITE);
    context.fillText(told, x, y);
}

function paintMask(context, { track, path, faint }, style, opacity) {
    const colour = trackColour(track.id);
    context.lineJoin = 'round';
    if (faint) {
        context.setLineDash([3 * style.outline, 3 * style.outline]);
        context.lineWidth = style.outline * 0.9;
        context.strokeStyle = css(colour, 0.6);
        context.stroke(path);
        context.setLineDash([]);
        return;
    }
    context.strokeStyle = css([0, 0, 0], 0.35);
    context.lineWidth = 2.4 * style.outline;
    context.stroke(path);
    context.fillStyle = css(colour, opacity * (0.34 + 0.66 * track.sounding));
    context.fill(path, 'evenodd');
    context.strokeStyle = css(colour);
    context.lineWidth = style.outline;
    context.stroke(path);
}

/** A line with a dot that ties a plate to its object when it could not be put beside it. */
function paintLeader(context, box, around, centre, colour, style, area) {
    const near = {
        x: box.x - box.height,
        y: box.y - box.height,
        width: box.width + 2 * box.height,
        height: 3 * box.height,
    };
    if (overlap(near, around)) {
        return;
    }
    const foot = [around.x + around.width / 2, around.y + around.height / 2];
    context.strokeStyle = context.fillStyle = css(colour);
    context.lineWidth = style.outline / 2;
    context.beginPath();
    context.moveTo(box.x + box.width / 2, box.y + box.height / 2);
    context.lineTo(...foot);
    context.stroke();
    context.beginPath();
    context.arc(...foot, style.outline, 0, 2 * Math.PI);
    context.fill();
}

function rounded(context, x, y, width, height, radius) {
    context.beginPath();
    context.roundRect(x, y, width, height, radius);
}

/** The text, shortened with an ellipsis until it fits into a width in the context's font. */
function fitting(context, text, width) {
    if (context.measureText(text).width <= width) {
        return text;
    }
    const signs = [...text];
    while (signs.length && context.measureText(`${signs.join('')}…`).width > width) {
        signs.pop();
    }
    return `${signs.join('').trimEnd()}…`;
}

/** Darkens the lower edge towards the bottom, so that the strip can be read over any picture. */
function paintGround(context, area, style) {
    const tall = Math.min(area.height, 1.6 * (style.text + 2 * style.pad));
    const fade = context.createLinearGradient(0, area.height - tall, 0, area.height);
    fade.addColorStop(0, css(INK, 0));
    fade.addColorStop(0.67, css(INK, 0.62));
    fade.addColorStop(1, css(INK, 0.66));
    context.fillStyle = fade;
    context.fillRect(0, area.height - tall, area.width, tall);
}

/** A line of words in the upper edge, below what is taken there; in the middle, or with a loudspeaker. */
function paintPill(context, words, colour, style, area, taken, speaker = false) {
    const size = Math.max(8, 0.9 * style.text);
    const side = 1.6 * style.pad;
    const icon = speaker ? 1.6 * size : 0;
    context.font = `500 ${size}px ${FONT}`;
    const line = fitting(context, words, area.width - 2 * (side + style.pad) - icon);
    const width = context.measureText(line).width + icon + 2 * side;
    const box = {
        x: speaker ? style.pad : (area.width - width) / 2,
        y: style.pad,
        width,
        height: size + 1.4 * style.pad,
    };
    while (taken.some((other) => overlap(box, other) > 0)) {
        box.y += box.height + style.pad / 2;
    }
    rounded(context, box.x, box.y, box.width, box.height, box.height / 2);
    context.fillStyle = css(INK, 0.78);
    context.fill();
    if (speaker) {
        paintSpeaker(context, box.x + side, box.y + (box.height - size) / 2, size);
    }
    context.fillStyle = css(colour);
    context.textBaseline = 'middle';
    context.fillText(line, box.x + side + icon, box.y + box.height / 2 + size * 0.04);
    return box;
}

/** A loudspeaker with two waves. */
function paintSpeaker(context, x, y, size) {
    context.save();
    context.translate(x, y);
    context.scale(size, size);
    context.fillStyle = context.strokeStyle = css(AMBER);
    context.beginPath();
    for (const point of [
        [0.02, 0.34],
        [0.22, 0.34],
        [0.48, 0.1],
        [0.48, 0.9],
        [0.22, 0.66],
        [0.02, 0.66],
    ]) {
        context.lineTo(...point);
    }
    context.fill();
    context.lineWidth = 0.1;
    for (const radius of [0.26, 0.5]) {
        context.beginPath();
        context.arc(0.56, 0.5, radius, -0.84, 0.84);
        context.stroke();
    }
    context.restore();
}

function paintStrip(context, frame, style, area) {
    const { text, pad } = style;
    const middle = area.height - pad - text / 2;
    context.font = `500 ${text}px ${FONT}`;
    context.textBaseline = 'middle';
    context.fillStyle = css(WHITE);
    const digit = context.measureText('0').width;
    let x = 2 * pad;
    for (const sign of clockText(frame.t_s)) {
        const width = sign >= '0' && sign <= '9' ? digit : context.measureText(sign).width;
        context.fillText(sign, x, middle);
        x += width;
    }
    const right = area.width - 2 * pad;
    if (frame.level_dbfs === null) {
        context.font = `400 ${text}px ${FONT}`;
        context.fillStyle = css(DIM);
        context.textAlign = 'right';
        context.fillText('no sound', right, middle);
        context.textAlign = 'left';
        return;
    }
    const share = 1 - Math.min(0, Math.max(METER_FLOOR_DBFS, frame.level_dbfs)) / METER_FLOOR_DBFS;
    const cell = Math.max(2, 0.32 * text);
    const gap = Math.max(1, 0.13 * text);
    const tall = 0.72 * text;
    let left = right - METER_CELLS * (cell + gap) + gap;
    for (let index = 0; index < METER_CELLS; index += 1, left += cell + gap) {
        const lit = Math.min(1, Math.max(0, share * METER_CELLS - index));
        context.fillStyle = css(index >= METER_CELLS - 3 ? AMBER : WHITE, 0.2 + 0.75 * lit);
        rounded(context, left, middle - tall / 2, cell, tall, cell / 3);
        context.fill();
    }
}
