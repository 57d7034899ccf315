import assert from 'node:assert/strict';
import test from 'node:test';
import { page } from './page.mjs';

const { PictureQueue, PlayoutClock, Segments } = await page('playout.js');

/** A random number generator that gives the same row each time. */
function dice(seed = 7) {
    let state = seed;
    return () => {
        state = (state * 1103515245 + 12345) % 2147483648;
        return state / 2147483648;
    };
}

/**
 * Plays a feed for a while: hops of pictures when they are over, results later.
 * @returns {{t_s: number, now_s: number, late: boolean}[]} what the clock showed at each frame
 */
function play(
    clock,
    { seconds, hop_s = 0.5, rate = 1, latency = () => 0.2, pictures = () => true, results = () => true },
) {
    const events = [];
    for (let end_s = 1; end_s / rate < seconds; end_s += hop_s) {
        const now_s = end_s / rate;
        if (pictures(end_s)) {
            for (let t_s = end_s - hop_s; t_s < end_s - 1e-6; t_s += 0.04) {
                events.push({ now_s, act: () => clock.picture(t_s, now_s) });
            }
        }
        if (results(end_s)) {
            const came_s = now_s + latency();
            events.push({ now_s: came_s, end_s, act: () => clock.result(end_s, came_s) });
        }
    }
    events.sort((a, b) => a.now_s - b.now_s);
    const shown = [];
    let answered_s = 0;
    for (let now_s = 0; now_s < seconds; now_s += 1 / 60) {
        while (events.length && events[0].now_s <= now_s) {
            const event = events.shift();
            event.act();
            answered_s = Math.max(answered_s, event.end_s ?? 0);
        }
        const t_s = clock.advance(now_s);
        if (t_s !== null) {
            shown.push({ t_s, now_s, late: t_s >= answered_s });
        }
    }
    return shown;
}

test('results are there before their hop is shown, and the picture is not far behind', () => {
    const random = dice();
    const shown = play(new PlayoutClock(0.5), { seconds: 60, latency: () => 0.1 + 0.2 * random() });
    const steady = shown.filter(({ now_s }) => now_s > 10);
    const late = steady.filter((one) => one.late).length / steady.length;
    assert.ok(late < 0.03, `${late} of the frames had no result`);
    for (const { t_s, now_s } of steady) {
        assert.ok(now_s - t_s < 1.1, `${now_s - t_s} s behind`);
    }
});

test('longer hops are waited for as well', () => {
    const random = dice(5);
    const shown = play(new PlayoutClock(1), { seconds: 60, hop_s: 1, latency: () => 0.2 + 0.3 * random() });
    const steady = shown.filter(({ now_s }) => now_s > 15);
    assert.ok(steady.filter((one) => one.late).length / steady.length < 0.03);
    assert.ok(steady.every(({ t_s, now_s }) => now_s - t_s < 1.8));
});

test('the clock never goes back, and its pace is even', () => {
    const random = dice(3);
    const shown = play(new PlayoutClock(0.5), { seconds: 40, latency: () => 0.1 + 0.2 * random() });
    for (let index = 1; index < shown.length; index += 1) {
        const step = shown[index].t_s - shown[index - 1].t_s;
        assert.ok(step >= 0 && (shown[index].now_s < 8 || step < 0.03), `${step} at ${shown[index].now_s}`);
    }
});

test('slower results are waited for, by and by', () => {
    let now = 0;
    const latency = () => ((now += 0.5) > 15 ? 0.9 : 0.15);
    const shown = play(new PlayoutClock(0.5), { seconds: 50, latency });
    const end = shown.filter(({ now_s }) => now_s > 35);
    assert.ok(end.filter(({ late }) => late).length / end.length < 0.05);
});

test('pictures go on where results do not', () => {
    const shown = play(new PlayoutClock(0.5), { seconds: 30, results: (end_s) => end_s < 10 });
    const { t_s, now_s } = shown.at(-1);
    assert.ok(now_s - t_s < 1.5);
});

test('without any result the picture is shown all the same', () => {
    const { t_s, now_s } = play(new PlayoutClock(0.5), { seconds: 10, results: () => false }).at(-1);
    assert.ok(now_s - t_s < 1.5);
});

test('a clock stands at the last picture when nothing comes', () => {
    const shown = play(new PlayoutClock(0.5), {
        seconds: 20,
        pictures: (end_s) => end_s < 10,
        results: (end_s) => end_s < 10,
    });
    assert.ok(shown.at(-1).t_s <= 10 && shown.at(-1).t_s > 9);
});

test('a recording that is read fast is shown as fast', () => {
    const shown = play(new PlayoutClock(0.5), { seconds: 20, rate: 4 });
    const { t_s, now_s } = shown.at(-1);
    assert.ok(4 * now_s - t_s < 4, `${4 * now_s - t_s} s of stream behind`);
});

test('results that are very late do not hold the picture', () => {
    const { t_s, now_s } = play(new PlayoutClock(0.5), { seconds: 40, latency: () => 12 }).at(-1);
    assert.ok(now_s - t_s < 6);
});

test('generations follow each other on the line of time', () => {
    const segments = new Segments();
    assert.equal(segments.place(0, 10), 10);
    assert.equal(segments.place(0, 20), 20);
    assert.equal(segments.place(1, 26), 26); // a camera that was away
    assert.equal(segments.place(2, 0), 26); // a recording from its start
    assert.equal(segments.place(2, 5), 31);
    assert.equal(segments.back(2, 31), 5);
    assert.equal(segments.place(1, 25), 25);
});

test('the newest picture that is due is shown, and those before it are let go', () => {
    const queue = new PictureQueue(5);
    let closed = 0;
    const picture = (generation, t_s) => ({
        generation,
        t_s,
        state: 'ready',
        bitmap: { close: () => (closed += 1) },
    });
    for (const t_s of [1, 1.04, 1.08, 1.04]) {
        queue.add(picture(0, t_s));
    }
    queue.add(picture(1, 0.5));
    assert.equal(queue.pictures.length, 4);
    assert.equal(queue.at(0, 0.9), -1);
    assert.equal(queue.at(0, 1.05), 1);
    assert.equal(queue.at(0, 9), 2);
    assert.equal(queue.at(1, 0.6), 3);
    queue.dropBefore(2);
    assert.equal(closed, 2);
    queue.add(picture(1, 0.6));
    queue.add(picture(1, 0.7));
    queue.add(picture(1, 0.8));
    queue.add(picture(1, 0.9));
    assert.equal(queue.pictures.length, 5);
    queue.clear();
    assert.equal(closed, 8);
});
