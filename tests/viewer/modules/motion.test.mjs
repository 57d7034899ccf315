import assert from 'node:assert/strict';
import test from 'node:test';
import { codeOf, disc, page, scene } from './page.mjs';

const { findShift, follow, templateOf } = await page('motion.js');
const { Following } = await page('following.js');

const [WIDTH, HEIGHT, RADIUS] = [192, 108, 14];
const near = (a, b, off) => assert.ok(Math.abs(a - b) <= off, `${a} is not within ${off} of ${b}`);

test('an object is found where it went', () => {
    const template = templateOf(scene(WIDTH, HEIGHT, 60, 50, RADIUS), disc(60, 50, RADIUS), 1);
    const shift = findShift(template, scene(WIDTH, HEIGHT, 63, 48.5, RADIUS), { dx: 1, dy: 0 });
    near(shift.dx, 3, 0.4);
    near(shift.dy, -1.5, 0.5);
});

test('an object is followed as it turns', () => {
    const place = (step) => [60 + 24 * Math.sin(step / 5), 50 + 12 * Math.cos(step / 4)];
    const template = templateOf(scene(WIDTH, HEIGHT, ...place(0), RADIUS), disc(...place(0), RADIUS), 1);
    const shifts = follow(
        template,
        Array.from({ length: 14 }, (_, step) => scene(WIDTH, HEIGHT, ...place(step + 1), RADIUS)),
    );
    assert.equal(shifts.length, 14);
    shifts.forEach(({ dx, dy }, step) => {
        near(dx, place(step + 1)[0] - place(0)[0], 1);
        near(dy, place(step + 1)[1] - place(0)[1], 1);
    });
});

test('where there is nothing to hold on to, nothing is told', () => {
    const flat = { width: WIDTH, height: HEIGHT, levels: new Uint8Array(WIDTH * HEIGHT).fill(120) };
    assert.equal(findShift(templateOf(flat, disc(60, 50, RADIUS), 1), flat, { dx: 0, dy: 0 }), null);
});

test('an object that is gone is not followed', () => {
    const template = templateOf(scene(WIDTH, HEIGHT, 60, 50, RADIUS), disc(60, 50, RADIUS), 1);
    assert.equal(findShift(template, scene(WIDTH, HEIGHT, -100, -100, RADIUS), { dx: 0, dy: 0 }), null);
});

test('an object too small to be seen has no template', () => {
    assert.equal(templateOf(scene(WIDTH, HEIGHT, 60, 50, 2), disc(600, 500, 2), 0.1), null);
});

// Results and what lies between them ---------------------------------------------------------------------------

const [H, W, HOP] = [360, 640, 0.5];
const cutoutAt = (x, y) => disc(x, y, 40);

/** A result whose window ends at `end_s`, its picture 40 ms before. */
function result(end_s, centre, more = {}) {
    const tracks = centre
        ? [
              {
                  id: 1,
                  label: 'dog',
                  p: 0.9,
                  labels: [],
                  sounding: 0.8,
                  box: [],
                  mask: codeOf(cutoutAt(...centre), H, W),
              },
          ]
        : [];
    return {
        source: 'a',
        generation: 0,
        seq: Math.round(end_s / HOP),
        t_s: end_s - 1,
        dur_s: 1,
        frame_t_s: end_s - 0.04,
        height: H,
        width: W,
        tracks,
        offscreen: false,
        has_audio: true,
        audio_dbfs: -20,
        gap: false,
        latency_ms: 1,
        vocabulary_revision: 1,
        ...more,
    };
}

const middle = ({ box: [x, y, width, height] }) => [x + width / 2, y + height / 2];

test('between two results a mask goes from the one to the other', () => {
    const following = new Following(HOP);
    following.add(result(10, [100, 100]));
    following.add(result(10.5, [200, 140]));
    const { tracks, age_s, result: owner } = following.at(0, 10.21);
    assert.equal(owner.seq, 21);
    assert.equal(age_s, 0);
    assert.deepEqual(
        tracks.map(({ id, label, silent }) => [id, label, silent]),
        [[1, 'dog', false]],
    );
    near(middle(tracks[0])[0], 150, 1);
    near(middle(tracks[0])[1], 120, 1);
});

test('behind the newest result a mask goes on as it went, for one hop', () => {
    const following = new Following(HOP);
    following.add(result(10, [100, 100]));
    following.add(result(10.5, [200, 100]));
    near(middle(following.at(0, 10.7).tracks[0])[0], 248, 2);
    near(following.at(0, 10.7).age_s, 0.24, 1e-6);
    assert.deepEqual(
        following.at(0, 11.1).tracks.filter(({ silent }) => !silent),
        [],
    );
});

test('what sounds is said by the result of the hop, and what fell silent is still known', () => {
    const following = new Following(HOP);
    following.add(result(10, [100, 100]));
    following.add(result(10.5, null));
    const [track] = following.at(0, 10.2).tracks;
    assert.deepEqual([track.silent, track.sounding], [true, 0]);
    following.add(result(11, [300, 100]));
    assert.equal(following.at(0, 10.7).tracks[0].silent, false);
});

test('a hop without a result keeps what sounds before and after it', () => {
    const following = new Following(HOP);
    following.add(result(10, [100, 100]));
    following.add(result(11, [200, 100]));
    const { tracks } = following.at(0, 10.2);
    assert.equal(tracks[0].silent, false);
    near(middle(tracks[0])[0], 124, 2);
});

test('the newest names hold as soon as they are known', () => {
    const following = new Following(HOP);
    following.add(result(10, [100, 100]));
    following.add(result(10.5, [100, 100]));
    const renamed = result(11, [100, 100], { vocabulary_revision: 2 });
    renamed.tracks[0].label = 'wolf';
    following.add(renamed);
    assert.equal(following.at(0, 10.2).tracks[0].label, 'wolf');
});

test('another generation begins anew, and an older one does not come back', () => {
    const following = new Following(HOP);
    following.add(result(10, [100, 100]));
    following.add(result(3, [50, 50], { generation: 1 }));
    assert.deepEqual(following.at(0, 10).tracks, []);
    assert.equal(following.add(result(10.5, [100, 100])), false);
    assert.equal(following.at(1, 2.9).tracks.length, 1);
});

test('a damaged mask is left out', () => {
    const following = new Following(HOP);
    const damaged = result(10, [100, 100]);
    damaged.tracks[0].mask = '%%%';
    following.add(damaged);
    assert.deepEqual(following.at(0, 9.9).tracks, []);
});

test('in the pictures a mask follows an object that turns back between two results', () => {
    const following = new Following(HOP);
    // From 9.46 to 9.96 it goes right and back again, where a straight line would stand still.
    const place = (t_s) => [220 + 240 * (0.25 - Math.abs(t_s - 9.71)), 150];
    const grey = (t_s) => scene(192, 108, place(t_s)[0] * 0.3, place(t_s)[1] * 0.3, 12);
    const pictures = Array.from({ length: 26 }, (_, index) => 8.96 + index * 0.04).map((t_s) => ({
        t_s,
        grey: grey(t_s),
    }));
    following.add(result(9.5, place(9.46)));
    following.learn(following.results[0], pictures);
    following.add(result(10, place(9.96)));
    following.learn(following.results[1], pictures);
    for (const { t_s } of pictures.filter((one) => one.t_s >= 9.46)) {
        const [x, y] = middle(following.at(0, t_s).tracks[0]);
        assert.ok(
            Math.hypot(x - place(t_s)[0], y - place(t_s)[1]) < 0.02 * W,
            `${t_s}: ${x} for ${place(t_s)[0]}`,
        );
    }
});

test('a mask follows an object that has just begun to sound', () => {
    const following = new Following(HOP);
    const place = (t_s) => [100 + 200 * (t_s - 9.5), 150];
    const pictures = Array.from({ length: 13 }, (_, index) => 9.48 + index * 0.04).map((t_s) => ({
        t_s,
        grey: scene(192, 108, place(t_s)[0] * 0.3, 45, 12),
    }));
    following.add(result(9.5, null));
    following.add(result(10, place(9.96)));
    following.learn(following.results[1], pictures);
    near(middle(following.at(0, 9.52).tracks[0])[0], place(9.52)[0], 0.02 * W);
});

test('an object that has just begun to sound is drawn where it is known to be, and not before that is known', () => {
    const following = new Following(HOP);
    following.add(result(9.5, null));
    following.add(result(10, [200, 100]));
    assert.deepEqual(following.at(0, 9.6).tracks, []);
    near(middle(following.at(0, 9.92).tracks[0])[0], 200, 1);
    following.learn(following.results[1], []); // there are no pictures to find it in
    near(middle(following.at(0, 9.6).tracks[0])[0], 200, 1);
});

test('of pictures that are few the nearest will do', () => {
    const following = new Following(HOP);
    const place = (t_s) => [100 + 100 * (t_s - 9.5), 150];
    const pictures = [9.52, 9.6, 9.68, 9.76, 9.84, 9.92].map((t_s) => ({
        t_s,
        grey: scene(192, 108, place(t_s)[0] * 0.3, 45, 12),
    }));
    following.add(result(9.5, null));
    following.add(result(10, place(9.96)));
    following.learn(following.results[1], pictures);
    near(middle(following.at(0, 9.6).tracks[0])[0], place(9.6)[0], 0.02 * W);
});
