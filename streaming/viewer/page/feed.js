/**
 * The conversation with the server: decodes what comes, and finds the server again when it is lost. One that has
 * said that the run is over is not looked for.
 *
 * Whatever arrives is either a message in the form below or left out; nothing here throws at bad input.
 */
import { oneLine } from './look.js';

const HEADER_BYTES = 20;
const PICTURE = 1;
const SOUND = 2;
const MEL = 3;

/** The server speaks once a second; a connection that has been silent for longer is taken for dead. */
const SILENCE_LIMIT_MS = 8000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15000;
const MOST_TRACKS = 256;
const MOST_CANDIDATES = 20;

/**
 * @typedef {{kind: 'picture', number: number, generation: number, seq: number, t_s: number, jpeg: Uint8Array}}
 *     PictureMessage
 * @typedef {{kind: 'sound', number: number, generation: number, t_s: number, rate_hz: number,
 *     channels: number, samples: Int16Array}} SoundMessage
 * @typedef {{kind: 'mel', number: number, generation: number, t_s: number, column_s: number, bands: number,
 *     columns: number, levels: Uint8Array}} MelMessage
 */

/**
 * @param {ArrayBuffer} buffer a binary frame
 * @returns {PictureMessage|SoundMessage|MelMessage|null} null for what is none of them
 */
export function decodeBinary(buffer) {
    if (buffer.byteLength < HEADER_BYTES) {
        return null;
    }
    const view = new DataView(buffer);
    const place = {
        number: view.getUint8(1),
        generation: view.getUint32(4, true),
        t_s: view.getFloat64(12, true),
    };
    if (!Number.isFinite(place.t_s)) {
        return null;
    }
    const rest = buffer.byteLength - HEADER_BYTES;
    switch (view.getUint8(0)) {
        case PICTURE:
            return rest
                ? {
                      kind: 'picture',
                      ...place,
                      seq: view.getUint32(8, true),
                      jpeg: new Uint8Array(buffer, HEADER_BYTES),
                  }
                : null;
        case SOUND: {
            const channels = view.getUint8(2);
            const rate_hz = view.getUint32(8, true);
            if (!channels || !rate_hz || rest % (2 * channels)) {
                return null;
            }
            return {
                kind: 'sound',
                ...place,
                channels,
                rate_hz,
                samples: new Int16Array(buffer, HEADER_BYTES),
            };
        }
        case MEL: {
            const bands = view.getUint8(2);
            const columns = view.getUint8(3);
            const column_s = view.getFloat32(8, true);
            if (!bands || rest !== bands * columns || !(column_s > 0 && column_s < 10)) {
                return null;
            }
            return {
                kind: 'mel',
                ...place,
                bands,
                columns,
                column_s,
                levels: new Uint8Array(buffer, HEADER_BYTES),
            };
        }
        default:
            return null;
    }
}

const finite = (value, instead = 0) => (Number.isFinite(value) ? value : instead);
const listOf = (value) => (Array.isArray(value) ? value : []);

/** A text in one line; '' for anything else. */
function lineOf(text) {
    return typeof text === 'string' ? oneLine(text) : '';
}

/**
 * A result in known form: what is missing or of the wrong kind is filled in or left out.
 * @param {object} message of type `result`
 * @returns {object|null} null where it does not say when it is
 */
export function checkedResult(message) {
    const [height, width] = listOf(message.size);
    if (!Number.isFinite(message.t_s) || !Number.isFinite(message.frame_t_s) || !(height > 0 && width > 0)) {
        return null;
    }
    const tracks = listOf(message.tracks)
        .slice(0, MOST_TRACKS)
        .filter((track) => track && Number.isInteger(track.id) && typeof track.mask === 'string')
        .map((track) => ({
            id: track.id,
            label: lineOf(track.label) || null,
            p: Number.isFinite(track.p) ? track.p : null,
            labels: listOf(track.labels).slice(0, 10),
            sounding: Math.min(1, Math.max(0, finite(track.sounding))),
            box: listOf(track.box).slice(0, 4),
            mask: track.mask,
        }));
    const candidates = Array.isArray(message.candidates)
        ? message.candidates
              .slice(0, MOST_CANDIDATES)
              .filter((one) => one && typeof one.mask === 'string')
              .map((one) => ({
                  sounding: Math.min(1, Math.max(0, finite(one.sounding))),
                  box: listOf(one.box).slice(0, 4),
                  mask: one.mask,
              }))
        : null;
    return {
        source: String(message.source),
        generation: finite(message.generation),
        seq: finite(message.seq),
        t_s: message.t_s,
        dur_s: finite(message.dur_s, 1),
        frame_t_s: message.frame_t_s,
        height,
        width,
        tracks,
        candidates,
        offscreen: message.offscreen === true,
        offscreen_text: lineOf(message.offscreen_text),
        has_audio: message.has_audio !== false,
        audio_dbfs: finite(message.audio_dbfs, -120),
        gap: message.gap === true,
        latency_ms: finite(message.latency_ms),
        vocabulary_revision: finite(message.vocabulary_revision),
    };
}

/**
 * @param {object} hop of a `history`, or a checked result
 * @returns {object|null} the same in known form; null where it does not say when it is
 */
export function checkedHop(hop) {
    if (!hop || !Number.isFinite(hop.t_s)) {
        return null;
    }
    return {
        generation: finite(hop.generation),
        seq: finite(hop.seq),
        t_s: hop.t_s,
        dur_s: finite(hop.dur_s, 1),
        tracks: listOf(hop.tracks)
            .slice(0, MOST_TRACKS)
            .filter((track) => track && Number.isInteger(track.id))
            .map((track) => ({
                id: track.id,
                label: lineOf(track.label) || null,
                sounding: Math.min(1, Math.max(0, finite(track.sounding))),
            })),
        offscreen: hop.offscreen === true,
        offscreen_text: lineOf(hop.offscreen_text),
        audio_dbfs: finite(hop.audio_dbfs, -120),
        gap: hop.gap === true,
    };
}

/**
 * How long to wait before the connection is tried again: twice as long each time, a little at random, so that
 * many pages do not come back at once.
 * @param {number} tries that have failed in a row
 * @param {() => number} random 0..1
 * @returns {number} milliseconds
 */
export function waitBefore(tries, random = Math.random) {
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(tries, 10));
    return Math.round(wait * (0.8 + 0.4 * random()));
}

/** The socket. Calls `on.text`, `on.binary` with decoded messages and `on.state` with its own state. */
export class Feed {
    /**
     * @param {object} options
     * @param {string} options.url of the WebSocket
     * @param {(message: object) => void} options.text
     * @param {(message: PictureMessage|SoundMessage|MelMessage) => void} options.binary
     * @param {(state: 'connecting'|'open'|'lost'|'over'|'refused', wait_ms: number) => void} options.state
     * @param {() => Promise<boolean>} options.refused whether the server asks for a token
     * @param {typeof WebSocket} options.Socket for tests
     */
    constructor({ url, text, binary, state, refused, Socket = globalThis.WebSocket }) {
        this.on = { text, binary, state, refused };
        this.url = url;
        this.Socket = Socket;
        this.tries = 0;
        this.ended = false;
        /** Whether the server has said that it is going. */
        this.over = false;
        this.socket = null;
        this.retry = 0;
        this.watchdog = 0;
        this.requests = new Map();
        this.lastRequest = 0;
    }

    /** Connects, and goes on connecting until `close`, or until the server says that it is going. */
    open() {
        clearTimeout(this.retry);
        this.on.state('connecting', 0);
        const socket = new this.Socket(this.url);
        this.socket = socket;
        socket.binaryType = 'arraybuffer';
        socket.onmessage = (event) => this.#take(socket, event.data);
        socket.onclose = () => this.#lost(socket);
        this.#listen(socket);
    }

    close() {
        this.ended = true;
        clearTimeout(this.retry);
        clearTimeout(this.watchdog);
        this.socket?.close();
    }

    /** Tries again at once, when somebody asks for it; where the run was over, this once. */
    now() {
        if (this.socket === null && !this.ended) {
            this.open();
        }
    }

    /**
     * @param {object} message as the protocol has it
     * @returns {boolean} false where there is nobody to send it to
     */
    send(message) {
        if (this.socket?.readyState !== 1) {
            return false;
        }
        this.socket.send(JSON.stringify(message));
        return true;
    }

    /**
     * A request that is answered.
     * @param {object} message without its `id`
     * @param {number} limit_ms how long to wait for the answer
     * @returns {Promise<void>} rejects with the server's own words
     */
    request(message, limit_ms = 90000) {
        const id = (this.lastRequest += 1);
        return new Promise((resolve, reject) => {
            if (!this.send({ ...message, id })) {
                reject(new Error('there is no connection to the pipeline'));
                return;
            }
            const timer = setTimeout(() => this.#answer(id, 'no answer came'), limit_ms);
            this.requests.set(id, { resolve, reject, timer });
        });
    }

    #answer(id, error) {
        const waiting = this.requests.get(id);
        if (!waiting) {
            return;
        }
        this.requests.delete(id);
        clearTimeout(waiting.timer);
        if (error) {
            waiting.reject(new Error(oneLine(error, 400)));
        } else {
            waiting.resolve();
        }
    }

    #listen(socket) {
        clearTimeout(this.watchdog);
        this.watchdog = setTimeout(() => {
            socket.close();
            this.#lost(socket);
        }, SILENCE_LIMIT_MS);
    }

    #take(socket, data) {
        if (socket !== this.socket) {
            return;
        }
        this.#listen(socket);
        if (typeof data !== 'string') {
            const message = decodeBinary(data);
            if (message) {
                this.on.binary(message);
            }
            return;
        }
        let message;
        try {
            message = JSON.parse(data);
        } catch {
            return;
        }
        if (message?.type === 'hello') {
            this.tries = 0;
            this.over = false;
            this.on.state('open', 0);
        }
        if (message?.type === 'ended') {
            this.over = true;
        }
        if (message?.type === 'answer') {
            this.#answer(message.id, message.error);
        } else if (typeof message?.type === 'string') {
            this.on.text(message);
        }
    }

    async #lost(socket) {
        if (socket !== this.socket) {
            return;
        }
        this.socket = null;
        clearTimeout(this.watchdog);
        for (const id of [...this.requests.keys()]) {
            this.#answer(id, 'the connection to the pipeline was lost');
        }
        if (this.ended) {
            return;
        }
        if (this.over) {
            this.on.state('over', 0);
            return;
        }
        const wait_ms = waitBefore(this.tries);
        this.tries += 1;
        this.on.state('lost', wait_ms);
        this.retry = setTimeout(() => this.open(), wait_ms);
        if (await this.on.refused()) {
            clearTimeout(this.retry);
            this.on.state('refused', 0);
        }
    }
}
