import assert from 'node:assert/strict';
import test from 'node:test';
import { page } from './page.mjs';

const { Feed, checkedHop, checkedResult, decodeBinary, waitBefore } = await page('feed.js');

function frame(head, rest) {
    const buffer = new ArrayBuffer(20 + rest.length);
    const view = new DataView(buffer);
    head(view);
    new Uint8Array(buffer).set(rest, 20);
    return buffer;
}

test('a picture is read as the protocol has it', () => {
    const message = decodeBinary(
        frame(
            (view) => {
                view.setUint8(0, 1);
                view.setUint8(1, 3);
                view.setUint32(4, 7, true);
                view.setUint32(8, 41, true);
                view.setFloat64(12, 12.48, true);
            },
            [255, 216, 255],
        ),
    );
    const { jpeg, ...rest } = message;
    assert.deepEqual(rest, { kind: 'picture', number: 3, generation: 7, seq: 41, t_s: 12.48 });
    assert.deepEqual([...jpeg], [255, 216, 255]);
});

test('sound is read as the protocol has it', () => {
    const message = decodeBinary(
        frame(
            (view) => {
                view.setUint8(0, 2);
                view.setUint8(2, 2);
                view.setUint32(8, 48000, true);
                view.setFloat64(12, 0.5, true);
            },
            [1, 0, 255, 255, 0, 128, 255, 127],
        ),
    );
    const { samples, ...rest } = message;
    assert.deepEqual(rest, {
        kind: 'sound',
        number: 0,
        generation: 0,
        t_s: 0.5,
        channels: 2,
        rate_hz: 48000,
    });
    assert.deepEqual([...samples], [1, -1, -32768, 32767]);
});

test('a spectrogram is read as the protocol has it', () => {
    const message = decodeBinary(
        frame(
            (view) => {
                view.setUint8(0, 3);
                view.setUint8(2, 4);
                view.setUint8(3, 2);
                view.setFloat32(8, 0.25, true);
                view.setFloat64(12, 2, true);
            },
            [0, 1, 2, 3, 4, 5, 6, 7],
        ),
    );
    assert.deepEqual(
        [message.bands, message.columns, message.column_s, message.levels.length],
        [4, 2, 0.25, 8],
    );
});

test('what is none of these is left out', () => {
    const of = (kind, rest, more = () => {}) =>
        decodeBinary(
            frame((view) => {
                view.setUint8(0, kind);
                more(view);
            }, rest),
        );
    assert.equal(decodeBinary(new ArrayBuffer(3)), null);
    assert.equal(of(9, [1]), null);
    assert.equal(of(1, []), null);
    assert.equal(
        of(1, [1], (view) => view.setFloat64(12, Number.NaN, true)),
        null,
    );
    assert.equal(of(2, [1, 2]), null); // no channels
    assert.equal(
        of(2, [1, 2, 3], (view) => {
            view.setUint8(2, 1);
            view.setUint32(8, 16000, true);
        }),
        null,
    );
    assert.equal(
        of(3, [1, 2, 3], (view) => {
            view.setUint8(2, 4);
            view.setUint8(3, 1);
            view.setFloat32(8, 0.1, true);
        }),
        null,
    );
});

test('a result is brought into known form', () => {
    const result = checkedResult({
        source: 'front',
        generation: 0,
        seq: 3,
        t_s: 1,
        frame_t_s: 1.96,
        size: [360, 640],
        tracks: [
            { id: 1, label: 'a\u0000\nb', p: 0.5, sounding: 7, mask: 'x', box: [1, 2, 3, 4] },
            { id: 'x', mask: '' },
            null,
            { id: 2 },
        ],
        offscreen_text: 'church\n bell',
    });
    assert.equal(result.offscreen_text, 'church bell');
    assert.deepEqual(
        result.tracks.map(({ id, label, sounding }) => [id, label, sounding]),
        [[1, 'a b', 1]],
    );
    assert.deepEqual([result.dur_s, result.has_audio, result.offscreen], [1, true, false]);
    assert.equal(checkedResult({ t_s: 1, frame_t_s: 'x', size: [1, 1] }), null);
    assert.equal(checkedResult({ t_s: 1, frame_t_s: 1 }), null);
    assert.equal(checkedHop(null), null);
    const bare = checkedHop({ t_s: 2, tracks: 5, offscreen_text: {} });
    assert.deepEqual([bare.tracks, bare.offscreen_text], [[], '']);
});

test('waits grow, and are not all alike', () => {
    const waits = [0, 1, 2, 3, 4, 5, 6, 20].map((tries) => waitBefore(tries, () => 0.5));
    assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
    assert.notEqual(
        waitBefore(3, () => 0),
        waitBefore(3, () => 1),
    );
});

/** A socket that does what the test says. */
class Fake {
    static all = [];
    constructor(url) {
        this.url = url;
        this.readyState = 1;
        this.sent = [];
        Fake.all.push(this);
    }
    send(text) {
        this.sent.push(JSON.parse(text));
    }
    say(message) {
        this.onmessage({ data: typeof message === 'string' ? message : JSON.stringify(message) });
    }
    close() {
        this.readyState = 3;
        this.onclose?.();
    }
}

function connected(more = {}) {
    Fake.all = [];
    const heard = [];
    const states = [];
    const feed = new Feed({
        url: 'ws://x/ws',
        Socket: Fake,
        text: (message) => heard.push(message),
        binary: () => {},
        state: (state) => states.push(state),
        refused: async () => false,
        ...more,
    });
    feed.open();
    Fake.all[0].say({ type: 'hello' });
    return { feed, heard, states, socket: Fake.all[0] };
}

test('requests are answered, or refused in the words of the pipeline', async () => {
    const { feed, socket } = connected();
    const [good, bad] = [
        feed.request({ type: 'vocabulary.set', words: ['a'] }),
        feed.request({ type: 'vocabulary.set', words: [] }),
    ];
    assert.deepEqual(
        socket.sent.map(({ id }) => id),
        [1, 2],
    );
    socket.say({ type: 'answer', id: 1, error: null });
    socket.say({ type: 'answer', id: 2, error: 'no words' });
    socket.say({ type: 'answer', id: 9, error: null });
    await good;
    await assert.rejects(bad, /no words/);
    feed.close();
});

test('silent objects are read, and that nothing was said of them', () => {
    const result = { t_s: 1, frame_t_s: 2, size: [4, 4], tracks: [] };
    assert.equal(checkedResult(result).candidates, null);
    const good = { sounding: 0.04, box: [0, 0, 2, 2], mask: '04' };
    const { candidates } = checkedResult({ ...result, candidates: [good, null, { mask: 5 }, 'x'] });
    assert.deepEqual(candidates, [good]);
    assert.equal(checkedResult({ ...result, candidates: Array(30).fill(good) }).candidates.length, 20);
});

test('nonsense is passed over', () => {
    const { feed, heard, socket } = connected();
    for (const text of ['', '{', 'null', '7', '[]', '{"type":5}']) {
        socket.say(text);
    }
    assert.deepEqual(
        heard.map(({ type }) => type),
        ['hello'],
    );
    feed.close();
});

test('a lost connection fails what waits, and is tried again', async () => {
    const { feed, states, socket } = connected();
    const waiting = feed.request({ type: 'vocabulary.set', words: ['a'] });
    socket.close();
    await assert.rejects(waiting, /lost/);
    assert.deepEqual(states, ['connecting', 'open', 'lost']);
    feed.now();
    assert.equal(Fake.all.length, 2);
    Fake.all[1].say({ type: 'hello' });
    assert.equal(states.at(-1), 'open');
    await assert.rejects(((feed.socket.readyState = 3), feed.request({ type: 'x' })), /no connection/);
    feed.close();
});

test('who has said goodbye is not looked for, but once when somebody asks for it', () => {
    const { feed, states, socket } = connected();
    socket.say({ type: 'ended', reason: 'the clip is over' });
    socket.close();
    assert.deepEqual(states, ['connecting', 'open', 'over']);
    feed.now();
    Fake.all[1].close();
    assert.deepEqual(states.slice(3), ['connecting', 'over']);
    feed.now();
    Fake.all[2].say({ type: 'hello' });
    Fake.all[2].close(); // without a word
    assert.deepEqual(states.slice(5), ['connecting', 'open', 'lost']);
    feed.close();
});

test('where a token is asked for, it is not tried again by itself', async () => {
    const { feed, states, socket } = connected({ refused: async () => true });
    socket.close();
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(states.at(-1), 'refused');
    feed.close();
});
