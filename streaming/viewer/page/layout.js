/** Where plates go: the place that covers least of what matters (streaming/overlay/layout.py). */

/**
 * @typedef {{x: number, y: number, width: number, height: number}} Box pixels
 */

/**
 * @param {Box} a
 * @param {Box} b
 * @returns {number} common area, pixels
 */
export function overlap(a, b) {
    const across = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
    const down = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
    return Math.max(0, across) * Math.max(0, down);
}

/**
 * Finds the place for a plate: above the object if it can be, else inside its top, below or beside it. It lies
 * within the picture, clear of what is taken, and stays where it was unless another place is clearly better.
 * @param {{width: number, height: number}} plate
 * @param {Box} around the object
 * @param {Box} within where plates may be
 * @param {Box[]} taken what must not be covered
 * @param {Box[]} others objects that are better not covered
 * @param {number} last rank of the place it had, -1 for none
 * @returns {Box & {rank: number}}
 */
export function place({ width, height }, around, within, taken, others = [], last = -1) {
    const middle = around.x + (around.width - width) / 2;
    const beside = around.y + (around.height - height) / 2;
    const gap = Math.max(2, height / 6);
    const wishes = [
        [middle, around.y - height - gap],
        [middle, around.y + gap],
        [middle, around.y + around.height + gap],
        [around.x + around.width + gap, beside],
        [around.x - width - gap, beside],
        ...[-2, 1, -3, 2, 3].map((step) => [middle, around.y + (height + gap) * step]),
    ];
    let best = null;
    let least = Infinity;
    wishes.forEach(([x, y], rank) => {
        const box = {
            x: Math.max(within.x, Math.min(x, within.x + within.width - width)),
            y: Math.max(within.y, Math.min(y, within.y + within.height - height)),
            width,
            height,
            rank,
        };
        const covered = taken.reduce((sum, other) => sum + overlap(box, other), 0);
        const hidden = others.reduce((sum, other) => sum + overlap(box, other), 0);
        const moved = Math.hypot(box.x - x, box.y - y) / height;
        const cost =
            rank +
            4 * moved +
            (covered ? 100 + (100 * covered) / (width * height) : 0) +
            (6 * Math.min(hidden, width * height)) / (width * height) -
            (rank === last ? 2 : 0);
        if (cost < least) {
            least = cost;
            best = box;
        }
    });
    return best;
}
