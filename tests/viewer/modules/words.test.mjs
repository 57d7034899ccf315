import assert from 'node:assert/strict';
import test from 'node:test';
import { page } from './page.mjs';

const { clockText, css, mix, nameOf, oneLine, trackColour, PALETTE } = await page('look.js');
const { complaintAbout, distinct, wordsIn } = await page('vocabulary.js');
const { troublesOf } = await page('troubles.js');
const { History } = await page('history.js');
const { checkedSettings } = await page('settings.js');
const { MelStore, Meter, BANDS } = await page('mel.js');
const { overlap, place } = await page('layout.js');

test('time is written as people write it', () => {
    assert.deepEqual([7.42, 754.5, 3723.4, -3.1, 0].map(clockText), [
        '0:07.4',
        '12:34.5',
        '1:02:03.4',
        '-0:03.1',
        '0:00.0',
    ]);
});

test('colours are for ever', () => {
    assert.equal(trackColour(9), PALETTE[1]);
    assert.equal(trackColour(-1), PALETTE[7]);
    assert.equal(css([1, 2, 3], 0.5), 'rgb(1 2 3 / 0.5)');
    assert.deepEqual(mix([0, 0, 0], [10, 20, 30], 0.5), [5, 10, 15]);
});

test('names are one line of text', () => {
    assert.equal(oneLine(' a\t\u202e b\n'), 'a b');
    assert.equal(oneLine('abcdef', 3), 'abc…');
    assert.equal(oneLine('<b>x</b>'), '<b>x</b>');
    assert.equal(nameOf({ id: 4, label: null }), 'track 4');
});

test('words are found in what people paste', () => {
    assert.deepEqual(wordsIn('dog, church bell\n- steam train\n2. rain;"car"\r\n\nDog'), [
        'dog',
        'church bell',
        'steam train',
        'rain',
        'car',
    ]);
    assert.deepEqual(wordsIn(' ,, \n'), []);
    assert.deepEqual(distinct(['A', 'a', 'b']), ['A', 'b']);
});

test('a list that cannot be used is told of before it is sent', () => {
    assert.equal(complaintAbout(['dog']), '');
    assert.match(complaintAbout([]), /at least one/);
    assert.match(complaintAbout(Array(5001).fill('x')), /5001 words; at most 5000/);
    assert.match(complaintAbout(['x'.repeat(101)]), /longer than 100/);
});

test('troubles are told in words', () => {
    const status = {
        nodes: {
            model: { state: 'down', died: 'was killed by SIGKILL', restarts: 0 },
            feature: { state: 'starting', restarts: 1 },
            'capture-front': { state: 'failed', died: '' },
            recorder: { state: 'starting', restarts: 0 },
        },
        sources: {
            front: { state: 'lost', reason: 'no answer.' },
            back: { state: 'connecting' },
            side: { state: 'connecting' },
        },
    };
    const troubles = troublesOf(status, new Set(['front', 'side']));
    assert.deepEqual(
        troubles.map(({ key }) => key),
        ['node:model', 'node:feature', 'node:capture-front', 'source:front', 'source:side'],
    );
    assert.equal(troubles[0].text, 'The model was killed by SIGKILL. It is being started again.');
    assert.equal(troubles[1].text, 'The feature node is down. It is being started again.');
    assert.equal(troubles[2].text, 'The capture node (capture-front) has failed. It is not started again.');
    assert.equal(troubles[0].back, 'The model is back.');
    assert.equal(troubles[3].text, 'front is lost: no answer. It is tried again.');
    assert.deepEqual(troublesOf({}, new Set()), []);
});

const hop = (seq, ids, more = {}) => ({
    generation: 0,
    seq,
    t_s: seq * 0.5,
    dur_s: 1,
    offscreen: false,
    audio_dbfs: -20,
    gap: false,
    tracks: ids.map((id) => ({ id, label: `thing ${id}`, sounding: 0.5 + id / 10 })),
    ...more,
});

test('rows of the timeline stay where they are', () => {
    const history = new History(0.5);
    const line = (_generation, t_s) => t_s;
    history.add(hop(0, [1, 2]), line);
    history.add(hop(1, [2]), line);
    history.add(hop(2, [3], { offscreen: true }), line);
    assert.deepEqual(
        history.rows(2).map(({ name, sounds }) => [name, sounds]),
        [
            ['thing 1', false],
            ['thing 2', false],
            ['thing 3', false],
        ],
    );
    assert.equal(history.rows(1.9)[2].sounds, true);
    assert.deepEqual(
        history.rows(2)[1].spans.map(({ from_s, end_s }) => [from_s, end_s]),
        [
            [0.5, 1],
            [1, 1.5],
        ],
    );
    assert.deepEqual(
        history.rows(2, 0.65).map((row) => row?.id ?? null),
        [null, 2, 3],
    );
    assert.deepEqual(
        history.offscreen(2).map(({ from_s }) => from_s),
        [1.5],
    );
    assert.equal(history.at(1.2).seq, 1);
    assert.equal(history.at(9), null);
    // Two minutes later the first have left, and a new one takes the first free place.
    history.add(hop(241, [9]), line);
    assert.deepEqual(
        history.rows(121.55).map((row) => row?.id ?? null),
        [9, null, 3],
    );
});

test('a hop that comes twice is one', () => {
    const history = new History(0.5);
    history.add(hop(3, [1]), (_generation, t_s) => t_s);
    history.add(hop(3, [1, 2]), (_generation, t_s) => t_s);
    assert.equal(history.hops.length, 1);
    assert.equal(history.hops[0].tracks.length, 2);
});

test('what was stored is checked', () => {
    assert.deepEqual(
        checkedSettings(null),
        checkedSettings({ theme: 'pink', threshold: 7, opacity: 'x', all: 'yes', volume: -1 }),
    );
    assert.equal(checkedSettings({ threshold: 0.4, theme: 'light' }).threshold, 0.4);
});

test('the level follows the columns, tied to what results say', () => {
    const store = new MelStore(10);
    const column = new Uint8Array(BANDS).fill(0);
    column[20] = 170; // -30 dB
    const levels = new Uint8Array(BANDS * 25);
    for (let at = 0; at < 25; at += 1) {
        levels.set(column, at * BANDS);
    }
    store.add(1, { bands: BANDS, columns: 25, column_s: 0.02, levels });
    assert.ok(Math.abs(store.level(1.2) + 30) < 0.1);
    assert.equal(store.level(3), null);
    store.calibrate(1, 1.5, -24);
    assert.ok(Math.abs(store.level(1.2) + 24) < 0.1);
    assert.equal(store.column(Math.floor(1.2 / 0.04))[20], 170);
});

test('a meter rises at once and falls slowly', () => {
    const meter = new Meter();
    assert.equal(meter.next(-10, 1), -10);
    assert.equal(meter.next(-60, 1.5), -30);
    assert.equal(meter.next(-20, 1.6), -20);
});

test('plates keep clear of what is taken and stay in the picture', () => {
    const within = { x: 0, y: 0, width: 640, height: 330 };
    const plate = { width: 100, height: 30 };
    const above = place(plate, { x: 200, y: 100, width: 80, height: 80 }, within, []);
    assert.ok(above.y + above.height < 100 && above.rank === 0);
    const top = place(plate, { x: 200, y: 0, width: 80, height: 80 }, within, []);
    assert.ok(top.y >= 0 && top.y + top.height <= 330);
    const second = place(plate, { x: 200, y: 100, width: 80, height: 80 }, within, [above]);
    assert.equal(overlap(above, second), 0);
});
