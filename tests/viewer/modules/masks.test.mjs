import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { codeOf, counts, disc, page } from './page.mjs';

const { decodeMask, runsOf } = await page('rle.js');
const { CELLS, SIDE, blend, centreOf, outlinesOf, shapeOf } = await page('shapes.js');

test('runs come back as they were packed', () => {
    for (const runs of [
        [12],
        [0, 12],
        [3, 2, 7],
        [0, 1, 2, 3, 4, 5],
        [100000, 1, 40, 7, 99852],
        [5, 70, 5, 70, 5],
    ]) {
        assert.deepEqual(runsOf(counts(runs)), runs);
    }
});

test('a mask is cut out at its tight box', () => {
    const cutout = disc(31.5, 20.5, 9.2);
    assert.deepEqual(decodeMask(codeOf(cutout, 48, 64), 48, 64), cutout);
});

test('a mask over whole columns keeps its rows', () => {
    assert.deepEqual(decodeMask(counts([2, 7, 3]), 4, 3), {
        x: 0,
        y: 0,
        width: 3,
        height: 4,
        pixels: Uint8Array.from([0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 1, 0]),
    });
});

test('an empty mask is null', () => {
    assert.equal(decodeMask(counts([12]), 4, 3), null);
    assert.equal(decodeMask(counts([12, 0]), 4, 3), null);
});

test('what is no run-length code of the size is refused', () => {
    for (const [code, why] of [
        [' ', /character/],
        ['0`', /middle/],
        [counts([3]), /covers 3/],
        ['ooooooooo0', /too long/],
        ['N', /negative/],
    ]) {
        assert.throws(() => decodeMask(code, 4, 3), why, code);
    }
    assert.throws(() => decodeMask(counts([12]), 0, 3), /a mask of/);
    assert.throws(() => decodeMask(counts([12]), Number.NaN, 3), /a mask of/);
});

test(
    'masks of the pipeline are read as they are',
    { skip: !process.env.MASKS && 'MASKS names no file' },
    () => {
        for (const {
            size: [height, width],
            counts: code,
            rows,
        } of JSON.parse(readFileSync(process.env.MASKS, 'utf8'))) {
            const cutout = decodeMask(code, height, width);
            const found = Array.from({ length: height }, () => Array(width).fill(0));
            for (let at = 0; cutout && at < cutout.pixels.length; at += 1) {
                found[cutout.y + Math.floor(at / cutout.width)][cutout.x + (at % cutout.width)] =
                    cutout.pixels[at];
            }
            assert.deepEqual(
                found.map((row) => row.join('')),
                rows,
            );
        }
    },
);

for (const radius of [6, 30, 140]) {
    test(`the outline of a disc of ${radius} pixels is a circle`, () => {
        const cutout = disc(200.3, 180.7, radius);
        const outlines = outlinesOf(shapeOf(cutout));
        assert.equal(outlines.length, 1);
        const [cx, cy] = centreOf(outlines);
        assert.ok(
            Math.hypot(cutout.x + cx * cutout.width - 200.3, cutout.y + cy * cutout.height - 180.7) < 0.5,
        );
        for (let at = 0; at < outlines[0].length; at += 2) {
            const x = cutout.x + outlines[0][at] * cutout.width;
            const y = cutout.y + outlines[0][at + 1] * cutout.height;
            assert.ok(Math.abs(Math.hypot(x - 200.3, y - 180.7) - radius) < Math.max(1, 0.03 * radius));
        }
    });
}

test('holes and parts have outlines of their own', () => {
    const pixels = new Uint8Array(90 * 40);
    for (let y = 0; y < 40; y += 1) {
        for (let x = 0; x < 90; x += 1) {
            const hole = x >= 12 && x < 28 && y >= 12 && y < 28;
            pixels[y * 90 + x] = Number((x < 40 && !hole) || x >= 60);
        }
    }
    assert.equal(outlinesOf(shapeOf({ x: 0, y: 0, width: 90, height: 40, pixels })).length, 3);
});

test('a blend lies between two shapes', () => {
    const small = new Float32Array(SIDE * SIDE).map(
        (_, at) => CELLS / 4 - Math.hypot((at % SIDE) - SIDE / 2, at / SIDE - SIDE / 2),
    );
    const large = small.map((level) => level + CELLS / 8);
    const width = (field) => {
        const xs = [...outlinesOf(field)[0]].filter((_, index) => index % 2 === 0);
        return Math.max(...xs) - Math.min(...xs);
    };
    const [thin, middle, thick] = [small, blend(small, large, 0.5), large].map(width);
    assert.ok(thin < middle && middle < thick);
    assert.ok(Math.abs(middle - (thin + thick) / 2) < 0.01);
    assert.equal(blend(small, large, 0), small);
    assert.equal(blend(small, large, 1), large);
});
