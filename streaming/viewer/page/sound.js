/** The sound of one source, played in step with its pictures. */

/** How far ahead of the moment sound is handed to the device, s. */
const LEAD_S = 0.4;
const LEAD_HIDDEN_S = 1.6;
/** A seam that is off by less is bent straight, by more is cut, s. */
const SEAM_S = 0.06;
const MOST_BEND = 0.02;
const KEPT_S = 12;

export class Sound {
    /** @param {typeof AudioContext} Context for tests */
    constructor(Context = globalThis.AudioContext) {
        this.Context = Context;
        this.context = null;
        this.gain = null;
        this.volume = 0.8;
        /** @type {object|null} the source that is heard */
        this.source = null;
        this.chunks = [];
        this.playing = new Set();
        this.ends_at = 0;
        this.ends_s = null;
        this.held = false;
        /** How much has been handed to the device, s. */
        this.heard_s = 0;
    }

    get on() {
        return this.source !== null;
    }

    /**
     * Whose sound is heard from now on. The first call has to come from a person's own click or key.
     * @param {object|null} source
     */
    async listen(source) {
        this.#cut();
        this.source = source;
        if (source && !this.context && this.Context) {
            this.context = new this.Context({ latencyHint: 'interactive' });
            this.gain = this.context.createGain();
            this.gain.gain.value = this.volume;
            this.gain.connect(this.context.destination);
        }
        await (source ? this.context?.resume() : this.context?.suspend());
    }

    /** @param {number} volume 0..1 */
    setVolume(volume) {
        this.volume = volume;
        this.gain?.gain.setTargetAtTime(volume, this.context.currentTime, 0.02);
    }

    /** @param {boolean} held the view stands still, and its sound is silent */
    hold(held) {
        this.held = held;
        if (held) {
            this.#cut();
        }
    }

    /**
     * @param {object} source
     * @param {import('./feed.js').SoundMessage} message
     */
    add(source, message) {
        if (source !== this.source) {
            return;
        }
        const length_s = message.samples.length / message.channels / message.rate_hz;
        this.chunks.push({ ...message, length_s });
        while (this.chunks.length && this.chunks[0].t_s < message.t_s - KEPT_S) {
            this.chunks.shift();
        }
    }

    /**
     * Hands the device what is due. To be called often, at least a few times a second.
     * @param {boolean} hidden the page is not to be seen, and calls come rarely
     */
    pump(hidden = false) {
        if (!this.source || !this.context || this.held || this.context.state !== 'running') {
            return;
        }
        const { t_s, rate, generation } = this.source.moment();
        if (t_s === null || Math.abs(rate - 1) > 0.2) {
            return; // a recording that is read faster than it plays is not to be listened to
        }
        const due_s = t_s + (hidden ? LEAD_HIDDEN_S : LEAD_S);
        while (this.chunks.length && this.chunks[0].t_s < due_s) {
            const chunk = this.chunks.shift();
            if (chunk.generation === generation && chunk.t_s + chunk.length_s > t_s) {
                this.#play(chunk, t_s);
            }
        }
    }

    #play(chunk, t_s) {
        const frames = chunk.samples.length / chunk.channels;
        if (!frames) {
            return;
        }
        const { currentTime } = this.context;
        const latency_s = this.context.outputLatency || this.context.baseLatency || 0;
        let at = currentTime + (chunk.t_s - t_s) - latency_s;
        let rate = 1;
        const follows =
            this.ends_s !== null && Math.abs(chunk.t_s - this.ends_s) < 0.002 && this.ends_at > currentTime;
        if (follows && Math.abs(at - this.ends_at) < SEAM_S) {
            const off_s = at - this.ends_at;
            rate = Math.min(1 + MOST_BEND, Math.max(1 - MOST_BEND, 1 - (0.5 * off_s) / chunk.length_s));
            at = this.ends_at;
        }
        const skip_s = Math.max(0, currentTime - at);
        if (skip_s >= chunk.length_s) {
            return;
        }
        const buffer = this.context.createBuffer(chunk.channels, frames, chunk.rate_hz);
        for (let channel = 0; channel < chunk.channels; channel += 1) {
            const track = buffer.getChannelData(channel);
            for (let index = 0, from = channel; index < frames; index += 1, from += chunk.channels) {
                track[index] = chunk.samples[from] / 32768;
            }
        }
        const node = this.context.createBufferSource();
        node.buffer = buffer;
        node.playbackRate.value = rate;
        node.connect(this.gain);
        node.onended = () => this.playing.delete(node);
        node.start(at + skip_s, skip_s);
        this.playing.add(node);
        this.heard_s += chunk.length_s - skip_s;
        this.ends_at = at + chunk.length_s / rate;
        this.ends_s = chunk.t_s + chunk.length_s;
    }

    #cut() {
        for (const node of this.playing) {
            node.stop();
        }
        this.playing.clear();
        this.chunks = [];
        this.ends_s = null;
    }
}
