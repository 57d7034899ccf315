/**
 * Where an object goes between two results: its place is found again in the pictures in between.
 *
 * Works on small grey pictures: the object as it looks in the picture that a result saw is searched near to
 * where it was expected in the next one, and so on. What cannot be told (nothing to hold on to, or hidden) is
 * not told, and the mask goes along the straight line between the two results instead.
 */

/** Width of the small pictures, pixels. */
export const GREY_WIDTH = 192;
/** How far from where it is expected an object is looked for, small pixels. */
const REACH = 4;
const RING = 2;
const MOST_SAMPLES = 450;
/** Mean difference of grey levels from which on a match is none. */
const WORST = 42;
/** By how much the match must be better than its surroundings, grey levels. */
const SHARPEST = 1.2;

/**
 * @typedef {{width: number, height: number, levels: Uint8Array}} Grey a small picture, grey levels 0..255
 * @typedef {{dx: number, dy: number}} Shift in small pixels
 */

/**
 * Grey levels of a picture.
 * @param {Uint8ClampedArray} rgba 4 bytes a pixel
 * @param {number} width pixels
 * @param {number} height pixels
 * @returns {Grey}
 */
export function greyOf(rgba, width, height) {
    const levels = new Uint8Array(width * height);
    for (let index = 0, at = 0; index < levels.length; index += 1, at += 4) {
        levels[index] = (rgba[at] * 77 + rgba[at + 1] * 150 + rgba[at + 2] * 29) >> 8;
    }
    return { width, height, levels };
}

/**
 * The places and levels by which an object is known again: inside its mask and close around it.
 * @param {Grey} grey the picture that the result saw
 * @param {import('./rle.js').Cutout} cutout
 * @param {number} scale small pixels per pixel of the cutout's picture
 * @returns {{xs: Int16Array, ys: Int16Array, levels: Uint8Array}|null} null where too little is left
 */
export function templateOf(grey, cutout, scale) {
    const left = Math.floor(cutout.x * scale) - RING;
    const top = Math.floor(cutout.y * scale) - RING;
    const right = Math.ceil((cutout.x + cutout.width) * scale) + RING;
    const bottom = Math.ceil((cutout.y + cutout.height) * scale) + RING;
    const near = (x, y) => {
        for (const [ox, oy] of [
            [0, 0],
            [RING, 0],
            [-RING, 0],
            [0, RING],
            [0, -RING],
        ]) {
            const column = Math.floor((x + 0.5 + ox) / scale) - cutout.x;
            const row = Math.floor((y + 0.5 + oy) / scale) - cutout.y;
            if (
                column >= 0 &&
                row >= 0 &&
                column < cutout.width &&
                row < cutout.height &&
                cutout.pixels[row * cutout.width + column]
            ) {
                return true;
            }
        }
        return false;
    };
    const step = Math.max(1, Math.ceil(Math.sqrt(((right - left) * (bottom - top)) / MOST_SAMPLES)));
    const xs = [];
    const ys = [];
    const levels = [];
    for (let y = Math.max(0, top); y < Math.min(grey.height, bottom); y += step) {
        for (let x = Math.max(0, left); x < Math.min(grey.width, right); x += step) {
            if (near(x, y)) {
                xs.push(x);
                ys.push(y);
                levels.push(grey.levels[y * grey.width + x]);
            }
        }
    }
    if (xs.length < 12) {
        return null;
    }
    return { xs: Int16Array.from(xs), ys: Int16Array.from(ys), levels: Uint8Array.from(levels) };
}

/**
 * Mean difference of the template, moved by whole small pixels, to a picture; Infinity when mostly outside, or
 * when it is clear that it is worse than `limit`.
 */
function difference({ xs, ys, levels }, grey, dx, dy, limit) {
    const { width, height, levels: picture } = grey;
    const worst = limit * xs.length;
    let sum = 0;
    let count = 0;
    for (let index = 0; index < xs.length; index += 1) {
        const x = xs[index] + dx;
        const y = ys[index] + dy;
        if (x >= 0 && y >= 0 && x < width && y < height) {
            const off = picture[y * width + x] - levels[index];
            sum += off < 0 ? -off : off;
            count += 1;
        }
        if (sum > worst) {
            return Infinity;
        }
    }
    return count * 2 < xs.length ? Infinity : sum / count;
}

/**
 * @param {{xs: Int16Array, ys: Int16Array, levels: Uint8Array}} template
 * @param {Grey} grey where to look
 * @param {Shift} expected
 * @returns {Shift|null} null where it cannot be told
 */
export function findShift(template, grey, expected) {
    const at = (dx, dy, limit = Infinity) => difference(template, grey, dx, dy, limit);
    const middle = { dx: Math.round(expected.dx), dy: Math.round(expected.dy) };
    let best = { ...middle, cost: at(middle.dx, middle.dy) };
    const look = (dx, dy) => {
        // Of places that look alike, the one that was expected.
        const extra = 0.05 * Math.hypot(dx - expected.dx, dy - expected.dy);
        const cost = at(dx, dy, best.cost) + extra;
        if (cost < best.cost) {
            best = { dx, dy, cost };
        }
    };
    for (const [reach, step] of [
        [REACH, 2],
        [1, 1],
    ]) {
        const { dx, dy } = best;
        for (let down = -reach; down <= reach; down += step) {
            for (let across = -reach; across <= reach; across += step) {
                if (down || across) {
                    look(dx + across, dy + down);
                }
            }
        }
    }
    const { dx, dy } = best;
    const here = at(dx, dy);
    const sharpness = Math.min(at(dx - 3, dy), at(dx + 3, dy), at(dx, dy - 3), at(dx, dy + 3)) - here;
    if (!(here < WORST) || !(sharpness > SHARPEST)) {
        return null;
    }
    const part = (before, after) => {
        const bend = before + after - 2 * here;
        return Number.isFinite(bend) && bend > 1e-6
            ? Math.min(0.5, Math.max(-0.5, (before - after) / (2 * bend)))
            : 0;
    };
    return { dx: dx + part(at(dx - 1, dy), at(dx + 1, dy)), dy: dy + part(at(dx, dy - 1), at(dx, dy + 1)) };
}

/**
 * Follows an object from the picture that a result saw through others, ever further away in time.
 * @param {{xs: Int16Array, ys: Int16Array, levels: Uint8Array}} template
 * @param {Grey[]} greys nearest in time first
 * @returns {Shift[]} one per picture, as far as it could be followed
 */
export function follow(template, greys) {
    const shifts = [];
    let last = { dx: 0, dy: 0 };
    let pace = { dx: 0, dy: 0 };
    for (const grey of greys) {
        const found = findShift(template, grey, { dx: last.dx + pace.dx, dy: last.dy + pace.dy });
        if (!found) {
            break;
        }
        pace = { dx: found.dx - last.dx, dy: found.dy - last.dy };
        last = found;
        shifts.push(found);
    }
    return shifts;
}
