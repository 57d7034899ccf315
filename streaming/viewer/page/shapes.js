/**
 * The outline of a mask, in a square of its own: whatever its size, a shape is a field of signed distances on
 * the unit square that its box is mapped to. Two fields can be blended, and the line along which a field is
 * zero is drawn at any size, crisp.
 */

/** Cells along each side of the box. */
export const CELLS = 96;
/** Cells around the box, so that every outline closes. */
const MARGIN = 3;
/** Samples along each side of a field. */
export const SIDE = CELLS + 2 * MARGIN;

/**
 * The shape of a mask.
 * @param {import('./rle.js').Cutout} cutout
 * @returns {Float32Array} SIDE x SIDE signed distances to the edge, in cells, positive inside
 */
export function shapeOf(cutout) {
    const coverage = resampled(cutout);
    const inside = new Uint8Array(SIDE * SIDE);
    for (let index = 0; index < inside.length; index += 1) {
        inside[index] = coverage[index] >= 0.5 ? 1 : 0;
    }
    const toOutside = distances(inside, 0);
    const toInside = distances(inside, 1);
    const field = new Float32Array(SIDE * SIDE);
    for (let index = 0; index < field.length; index += 1) {
        field[index] = inside[index] ? toOutside[index] - 0.5 : 0.5 - toInside[index];
    }
    return closed(smoothed(field));
}

/**
 * A shape on the way from one to another.
 * @param {Float32Array} before
 * @param {Float32Array} after
 * @param {number} share of `after`, 0..1
 * @returns {Float32Array}
 */
export function blend(before, after, share) {
    if (share <= 0 || before === after) {
        return before;
    }
    if (share >= 1) {
        return after;
    }
    const field = new Float32Array(before.length);
    for (let index = 0; index < field.length; index += 1) {
        field[index] = before[index] + (after[index] - before[index]) * share;
    }
    return field;
}

/** Averages of the mask over each cell (at least over 1.6 pixels, which takes the stairs away). */
function resampled({ width, height, pixels }) {
    const lines = new Float32Array(height * SIDE);
    averages(pixels, 0, 1, width, width, height, lines, SIDE, 1);
    const coverage = new Float32Array(SIDE * SIDE);
    averages(lines, 0, SIDE, 1, height, SIDE, coverage, 1, SIDE);
    return coverage;
}

/**
 * Averages over the cells along one direction.
 * @param {ArrayLike<number>} from `count` lines of `length` values
 * @param {number} first where the first value is
 * @param {number} step from a value to the next of its line
 * @param {number} stride from a line to the next
 * @param {number} length values in a line
 * @param {number} count lines
 * @param {Float32Array} to `count` lines of SIDE averages
 * @param {number} toStride from a line to the next
 * @param {number} toStep from an average to the next of its line
 */
function averages(from, first, step, stride, length, count, to, toStride, toStep) {
    const half = Math.max(length / CELLS, 1.6) / 2;
    const bounds = Float64Array.from({ length: 2 * SIDE }, (_, index) => {
        const middle = (((index >> 1) - MARGIN + 0.5) / CELLS) * length;
        return Math.min(length, Math.max(0, middle + (index & 1 ? half : -half)));
    });
    const sums = new Float64Array(length + 2);
    for (let line = 0; line < count; line += 1) {
        for (let at = 0, place = first + line * stride; at < length; at += 1, place += step) {
            sums[at + 1] = sums[at] + from[place];
        }
        sums[length + 1] = sums[length];
        for (let cell = 0; cell < SIDE; cell += 1) {
            const low = Math.floor(bounds[2 * cell]);
            const high = Math.floor(bounds[2 * cell + 1]);
            const below = sums[low] + (sums[low + 1] - sums[low]) * (bounds[2 * cell] - low);
            const above = sums[high] + (sums[high + 1] - sums[high]) * (bounds[2 * cell + 1] - high);
            to[line * toStride + cell * toStep] = (above - below) / (2 * half);
        }
    }
}

/** Distance of every sample to the nearest one of the kind (Felzenszwalb and Huttenlocher, 2012). */
function distances(kinds, kind) {
    const far = 1e9;
    const squares = new Float64Array(SIDE * SIDE);
    for (let index = 0; index < squares.length; index += 1) {
        squares[index] = kinds[index] === kind ? 0 : far;
    }
    const line = new Float64Array(SIDE);
    const feet = new Int32Array(SIDE);
    const bounds = new Float64Array(SIDE + 1);
    const pass = (start, step) => {
        for (let index = 0; index < SIDE; index += 1) {
            line[index] = squares[start + index * step];
        }
        let newest = 0;
        feet[0] = 0;
        bounds[0] = -Infinity;
        bounds[1] = Infinity;
        for (let q = 1; q < SIDE; q += 1) {
            let meet;
            for (;;) {
                const foot = feet[newest];
                meet = (line[q] + q * q - line[foot] - foot * foot) / (2 * (q - foot));
                if (meet > bounds[newest] || newest === 0) {
                    break;
                }
                newest -= 1;
            }
            if (meet <= bounds[newest]) {
                meet = -Infinity;
                feet[newest] = q;
            } else {
                newest += 1;
                feet[newest] = q;
            }
            bounds[newest] = meet;
            bounds[newest + 1] = Infinity;
        }
        for (let q = 0, foot = 0; q < SIDE; q += 1) {
            while (bounds[foot + 1] < q) {
                foot += 1;
            }
            squares[start + q * step] = (q - feet[foot]) ** 2 + line[feet[foot]];
        }
    };
    for (let column = 0; column < SIDE; column += 1) {
        pass(column, SIDE);
    }
    for (let row = 0; row < SIDE; row += 1) {
        pass(row * SIDE, 1);
    }
    return squares.map((square) => Math.min(SIDE, Math.sqrt(square)));
}

/** The field with the smallest stairs taken out (binomial, 3 x 3). */
function smoothed(field) {
    const once = new Float32Array(field);
    for (let row = 0; row < SIDE; row += 1) {
        for (let column = 1; column < SIDE - 1; column += 1) {
            const at = row * SIDE + column;
            once[at] = (field[at - 1] + 2 * field[at] + field[at + 1]) / 4;
        }
    }
    const twice = new Float32Array(once);
    for (let row = 1; row < SIDE - 1; row += 1) {
        for (let column = 0; column < SIDE; column += 1) {
            const at = row * SIDE + column;
            twice[at] = (once[at - SIDE] + 2 * once[at] + once[at + SIDE]) / 4;
        }
    }
    return twice;
}

/** The field with nothing inside along its border. */
function closed(field) {
    for (let index = 0; index < SIDE; index += 1) {
        for (const at of [index, (SIDE - 1) * SIDE + index, index * SIDE, index * SIDE + SIDE - 1]) {
            field[at] = Math.min(field[at], -0.5);
        }
    }
    return field;
}

// Of each square of four samples (upper left 1, upper right 2, lower right 4, lower left 8 where inside):
// from which side the outline comes and to which it goes, the inside on its right. 0 upper, 1 right, 2 lower,
// 3 left.
const STEPS = [
    [],
    [0, 3],
    [1, 0],
    [1, 3],
    [2, 1],
    [0, 3, 2, 1],
    [2, 0],
    [2, 3],
    [3, 2],
    [0, 2],
    [1, 0, 3, 2],
    [1, 2],
    [3, 1],
    [0, 1],
    [3, 0],
    [],
];
// Every line between two samples has a number: twice its first sample's, and one more if it goes down. From the
// upper left sample of a square, those of its four sides:
const SIDES = [0, 3, 2 * SIDE, 1];
const next = new Int32Array(2 * SIDE * SIDE).fill(-1);

/**
 * The outlines of a shape: closed lines, holes the other way round.
 * @param {Float32Array} field of `shapeOf`
 * @returns {Float32Array[]} x and y in turn, 0..1 over the box
 */
export function outlinesOf(field) {
    const starts = [];
    for (let row = 0; row < SIDE - 1; row += 1) {
        let left = (field[row * SIDE] > 0 ? 1 : 0) | (field[(row + 1) * SIDE] > 0 ? 8 : 0);
        for (let at = row * SIDE, last = at + SIDE - 1; at < last; at += 1) {
            const right = (field[at + 1] > 0 ? 2 : 0) | (field[at + SIDE + 1] > 0 ? 4 : 0);
            const kind = left | right;
            left = (right & 2 ? 1 : 0) | (right & 4 ? 8 : 0);
            if (kind === 0 || kind === 15) {
                continue;
            }
            const steps = STEPS[kind];
            for (let index = 0; index < steps.length; index += 2) {
                const from = 2 * at + SIDES[steps[index]];
                next[from] = 2 * at + SIDES[steps[index + 1]];
                starts.push(from);
            }
        }
    }
    const outlines = [];
    for (const start of starts) {
        const points = [];
        for (let at = start; next[at] >= 0;) {
            const first = at >> 1;
            const down = at & 1;
            const share = field[first] / (field[first] - field[first + (down ? SIDE : 1)]);
            const column = first % SIDE;
            const row = (first - column) / SIDE;
            points.push(
                (column + (down ? 0 : share) - MARGIN + 0.5) / CELLS,
                (row + (down ? share : 0) - MARGIN + 0.5) / CELLS,
            );
            const to = next[at];
            next[at] = -1;
            at = to;
        }
        if (points.length >= 6) {
            outlines.push(Float32Array.from(points));
        }
    }
    return outlines;
}

/**
 * The centre of mass of what outlines enclose.
 * @param {Float32Array[]} outlines of `outlinesOf`
 * @returns {[number, number]} 0..1 over the box; its middle where they enclose nothing
 */
export function centreOf(outlines) {
    let area = 0;
    let x = 0;
    let y = 0;
    for (const points of outlines) {
        for (let index = 0, last = points.length - 2; index < points.length; last = index, index += 2) {
            const cross = points[last] * points[index + 1] - points[index] * points[last + 1];
            area += cross;
            x += (points[last] + points[index]) * cross;
            y += (points[last + 1] + points[index + 1]) * cross;
        }
    }
    return Math.abs(area) < 1e-9 ? [0.5, 0.5] : [x / (3 * area), y / (3 * area)];
}
