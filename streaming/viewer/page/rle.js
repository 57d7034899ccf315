/** COCO's run-length code, unpacked: what model/rle.py writes. */

/** No picture has more pixels than this a side. */
const MAX_SIDE = 8192;

/**
 * The alternating run lengths, unset first, column by column.
 * @param {string} counts COCO's compressed string
 * @returns {number[]} pixels
 * @throws {Error} the string is no run-length code
 */
export function runsOf(counts) {
    const runs = [];
    let value = 0;
    let shift = 0;
    for (let index = 0; index < counts.length; index += 1) {
        const bits = counts.charCodeAt(index) - 48;
        if (bits < 0 || bits > 63) {
            throw new Error(`run-length code holds the character ${JSON.stringify(counts[index])}`);
        }
        if (shift > 25) {
            throw new Error('run-length code holds a run too long for any picture');
        }
        value |= (bits & 0x1f) << shift;
        shift += 5;
        if (bits & 0x20) {
            continue;
        }
        if (bits & 0x10) {
            value |= -1 << shift;
        }
        const run = runs.length > 2 ? value + runs[runs.length - 2] : value;
        if (run < 0) {
            throw new Error('run-length code holds a negative run');
        }
        runs.push(run);
        value = 0;
        shift = 0;
    }
    if (shift) {
        throw new Error('run-length code ends in the middle of a run');
    }
    return runs;
}

/**
 * A mask, cut out at its tight box.
 * @typedef {object} Cutout
 * @property {number} x left edge in the picture, pixels
 * @property {number} y upper edge, pixels
 * @property {number} width pixels
 * @property {number} height pixels
 * @property {Uint8Array} pixels row by row, 1 where the mask is set
 */

/**
 * @param {string} counts COCO's compressed string
 * @param {number} height of the picture, pixels
 * @param {number} width of the picture, pixels
 * @returns {Cutout|null} null for an empty mask
 * @throws {Error} the runs do not fill the picture exactly, or the string is no run-length code
 */
export function decodeMask(counts, height, width) {
    if (!(height >= 1 && height <= MAX_SIDE && width >= 1 && width <= MAX_SIDE)) {
        throw new Error(`a mask of ${width} x ${height} pixels`);
    }
    const runs = runsOf(counts);
    const covered = runs.reduce((sum, run) => sum + run, 0);
    if (covered !== height * width) {
        throw new Error(`run-length code covers ${covered} pixels, expected ${height * width}`);
    }
    let left = width;
    let right = -1;
    let top = height;
    let bottom = -1;
    for (let index = 1, start = runs[0]; index < runs.length; index += 2) {
        const end = start + runs[index];
        if (end > start) {
            const first = Math.floor(start / height);
            const last = Math.floor((end - 1) / height);
            left = Math.min(left, first);
            right = Math.max(right, last);
            top = Math.min(top, last > first ? 0 : start - first * height);
            bottom = Math.max(bottom, last > first ? height - 1 : end - 1 - last * height);
        }
        start = end + (runs[index + 1] ?? 0);
    }
    if (right < 0) {
        return null;
    }
    const cut = { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
    const pixels = new Uint8Array(cut.width * cut.height);
    for (let index = 1, start = runs[0]; index < runs.length; index += 2) {
        const end = start + runs[index];
        for (let at = start; at < end;) {
            const column = Math.floor(at / height);
            const stop = Math.min(end, (column + 1) * height);
            let place = (at - column * height - top) * cut.width + column - left;
            for (; at < stop; at += 1, place += cut.width) {
                pixels[place] = 1;
            }
        }
        start = end + (runs[index + 1] ?? 0);
    }
    return { ...cut, pixels };
}
