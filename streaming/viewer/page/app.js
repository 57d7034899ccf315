/** The page: joins the feed, the sources, what is drawn and what a person does. */
import { Banners } from './banners.js';
import { listen, showSettings } from './controls.js';
import { Feed, checkedHop, checkedResult } from './feed.js';
import { Instruments } from './instruments.js';
import { oneLine } from './look.js';
import { Level, showNow } from './now.js';
import { find, focused, run } from './run.js';
import { clip, snapshot } from './saving.js';
import { loadSettings, saveSettings } from './settings.js';
import { Sound } from './sound.js';
import { Source } from './source.js';
import { showNodes, showRun, showTroubles } from './standing.js';
import { Tile } from './tile.js';
import { Vocabulary } from './vocabulary.js';

const FULL_RATE_FPS = 60;
const STILL_EVERY_MS = 2000;
const FIGURES_EVERY_MS = 500;
/** Two minutes pass by at about ten pixels a second. */
const INSTRUMENTS_EVERY_MS = 80;
/** How often sound is seen to while the page is not to be seen. */
const HIDDEN_EVERY_MS = 250;
const SLEW = 0.12;
/** With sound on, the clock is pulled so gently that nobody hears it. */
const SLEW_HEARD = 0.015;

const seconds = () => performance.now() / 1000;
const reduced = matchMedia('(prefers-reduced-motion: reduce)');
const prefersLight = matchMedia('(prefers-color-scheme: light)');

const settings = loadSettings();
const view = () => ({ opacity: settings.opacity, threshold: settings.threshold, all: settings.all });

function theme() {
    if (settings.theme === 'auto') {
        return prefersLight.matches ? 'light' : 'dark';
    }
    return settings.theme;
}

const banners = new Banners(find('#banners'));
const sound = new Sound();
const level = new Level();
const instruments = new Instruments(find('#instruments'), { theme, threshold: () => settings.threshold });
const vocabulary = new Vocabulary(find('#vocabulary'), (words) =>
    feed.request({ type: 'vocabulary.set', words }),
);

// What the server says ----------------------------------------------------------------------------------------

const listOf = (value) => (Array.isArray(value) ? value : []);

const says = {
    hello(message) {
        const hop_s = Number.isFinite(message.hop_s) && message.hop_s > 0 ? message.hop_s : 0.5;
        run.ended = run.again = false;
        arrangeSources(listOf(message.sources), hop_s);
        for (const source of run.sources.values()) {
            source.notice = oneLine(message.notice ?? '', 120);
        }
        vocabulary.begin(message.vocabulary, listOf(message.presets));
        find('#line-title').title = `Model: ${oneLine(message.model ?? '', 40)}`;
        banners.drop('ended');
        watch();
    },
    history(message) {
        const source = run.sources.get(message.source);
        if (!source) {
            return;
        }
        const hops = listOf(message.hops).map(checkedHop).filter(Boolean);
        if (source.isOther(hops.at(-1))) {
            source.restart();
            instruments.repaint();
        }
        source.history.clear();
        hops.forEach((hop) => source.addHop(hop));
    },
    result(message) {
        const source = run.sources.get(message.source);
        const result = source && checkedResult(message);
        if (result) {
            source.addResult(result, seconds());
        }
    },
    status(message) {
        if (!run.ended) {
            stand(message); // behind the end there is nothing to tell
        }
    },
    vocabulary(message) {
        vocabulary.set(message.revision, message.words, message.seen);
    },
    again(message) {
        run.again = true;
        const last = message.seconds > 0 ? `last ${Math.round(message.seconds)} s are` : 'end is';
        banners.raise('again', 'good', `${overFor(message)} Its ${last} played again.`);
        stand({});
    },
    ended(message) {
        run.ended = true;
        run.again = false;
        over = overFor(message);
        banners.raise('ended', 'note', `${over} What was seen stays here to look at.`, lookAgain);
        const done = (ids, all) => Object.fromEntries(ids.map((id) => [id, { ...all?.[id], state: 'done' }]));
        stand({
            sources: done([...run.sources.keys()], run.status.sources),
            nodes: done(Object.keys(run.status.nodes ?? {}), run.status.nodes),
        });
    },
};

/** Why the run is over, as a sentence. */
function overFor({ reason }) {
    const why = oneLine(reason ?? '', 200);
    return `The run is over${why ? `: ${why}` : ''}.`;
}

let over = '';
const lookAgain = { label: 'Look again', act: () => feed.now() };

/** Takes in how the run stands. */
function stand(message) {
    run.status = { ...run.status, ...message };
    for (const [id, one] of Object.entries(run.status.sources ?? {})) {
        const source = run.sources.get(id);
        if (source) {
            source.status = run.again ? { ...one, state: 'again' } : one;
            source.has_audio = one.has_audio !== false;
        }
        if (one.state === 'live') {
            run.live.add(id);
        }
    }
    showTroubles(banners);
    showRun();
    showNodes();
    showFigures();
}

function takeBinary(message) {
    const source = [...run.sources.values()].find(({ number }) => number === message.number);
    if (!source) {
        return;
    }
    if (message.kind === 'picture') {
        source.addPicture(message, seconds());
    } else if (message.kind === 'sound') {
        sound.add(source, message);
    } else {
        instruments.heard(source, source.addMel(message));
    }
}

const feed = new Feed({
    url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`,
    text: (message) => Object.hasOwn(says, message.type) && says[message.type](message),
    binary: takeBinary,
    state: connected,
    refused: isRefused,
});

/** Whether the server is there, and asks for a token. */
async function isRefused() {
    if (run.ended) {
        return false;
    }
    try {
        return [401, 403].includes((await fetch('status')).status);
    } catch {
        return false;
    }
}

function connected(state, wait_ms) {
    if (state === 'open') {
        banners.over('connection', 'The page has found the pipeline again.');
    } else if (state === 'lost' && !run.ended) {
        const wait = Math.max(1, Math.round(wait_ms / 1000));
        const again = { label: 'Try now', act: () => feed.now() };
        banners.raise(
            'connection',
            'bad',
            `The page has lost the pipeline. It tries again in ${wait} s.`,
            again,
        );
    } else if (state === 'over' && run.connection === 'connecting') {
        banners.raise('ended', 'note', `${over} There is no other one at this address yet.`, lookAgain);
    } else if (state === 'refused') {
        banners.drop('connection');
        find('#token-sheet').showModal();
    }
    run.connection = state;
    showRun();
}

function arrangeSources(wanted, hop_s) {
    const list = wanted.filter((one) => typeof one?.id === 'string' && Number.isInteger(one.number));
    const key = (all) => all.map(({ id, number }) => `${number}:${id}`).join(' ');
    if (key(list) === key([...run.sources.values()])) {
        for (const source of run.sources.values()) {
            source.forget(); // the same run, seen again: the timeline stays
        }
        return;
    }
    find('#stages').replaceChildren();
    run.sources.clear();
    run.tiles.clear();
    run.live.clear();
    for (const { id, number } of list) {
        const source = new Source(id, number, hop_s);
        run.sources.set(id, source);
        run.tiles.set(id, new Tile(source, find('#stages'), () => choose(id)));
    }
    arrange(list.length > 1 ? 'grid' : 'one', list[0]?.id ?? null);
}

// Which sources are seen --------------------------------------------------------------------------------------

function choose(id) {
    if (run.sources.size > 1) {
        arrange(run.mode === 'one' && run.focus === id ? 'grid' : 'one', id);
    }
}

function arrange(mode, id) {
    const several = run.sources.size > 1;
    run.mode = several ? mode : 'one';
    run.focus = id;
    const stages = find('#stages');
    stages.dataset.mode = run.mode;
    stages.dataset.count = String(run.sources.size);
    stages.style.setProperty('--others', String(Math.max(1, run.sources.size - 1)));
    find('#grid').hidden = !several;
    find('#grid').setAttribute('aria-pressed', String(run.mode === 'grid'));
    for (const [name, tile] of run.tiles) {
        tile.arrange({
            enlarged: run.mode === 'one' && name === id,
            focused: name === id,
            several,
            mode: run.mode,
        });
    }
    find('#sound-of').textContent = several ? id : '';
    instruments.show(focused());
    if (sound.on) {
        sound.listen(focused());
    }
    watch();
    showNow(settings.threshold, true);
    stills();
}

/** Tells the server which pictures are wanted: those that are seen, as fast as they are worth it. */
function watch() {
    const count = run.sources.size;
    if (!count) {
        return;
    }
    const all = run.mode === 'grid';
    const shared_fps = count <= 2 ? 30 : count <= 4 ? 15 : 8;
    const wanted = all ? [...run.sources.keys()] : [run.focus];
    feed.send({
        type: 'watch',
        sources: document.hidden ? [] : wanted,
        max_fps: all ? shared_fps : FULL_RATE_FPS,
        sound: sound.on ? run.focus : null,
    });
}

/** Of the sources beside the enlarged one, a still picture now and then. */
function stills() {
    if (run.mode === 'grid' || document.hidden || run.connection !== 'open') {
        return;
    }
    for (const [id, tile] of run.tiles) {
        if (id !== run.focus) {
            tile.refreshStill();
        }
    }
}

function showFigures() {
    for (const tile of run.tiles.values()) {
        tile.update();
    }
}

// What a person does ------------------------------------------------------------------------------------------

function press(selector, pressed, icon, words) {
    const button = find(selector);
    button.setAttribute('aria-pressed', String(pressed));
    button.querySelector('use').setAttribute('href', icon);
    button.querySelector('span').textContent = words;
}

function pause() {
    run.paused = !run.paused;
    for (const source of run.sources.values()) {
        source.paused = run.paused;
    }
    sound.hold(run.paused);
    document.body.dataset.paused = String(run.paused);
    press('#pause', run.paused, run.paused ? '#i-play' : '#i-pause', run.paused ? 'Go on' : 'Pause');
    showRun();
    showFigures();
}

async function hear() {
    const source = sound.on ? null : focused();
    press('#sound', Boolean(source), source ? '#i-sound' : '#i-muted', 'Sound');
    try {
        await sound.listen(source);
    } catch (error) {
        banners.raise('sound', 'warn', `The sound cannot be played: ${error.message}`);
    }
    watch();
}

async function fill(wanted = document.body.dataset.wall !== 'true') {
    document.body.dataset.wall = String(wanted);
    find('#full').setAttribute('aria-pressed', String(wanted));
    try {
        if (wanted && !document.fullscreenElement) {
            await document.documentElement.requestFullscreen?.();
        } else if (!wanted && document.fullscreenElement) {
            await document.exitFullscreen();
        }
    } catch {
        // A browser that does not allow it still shows the page as for a wall.
    }
}

function useTheme() {
    document.documentElement.dataset.theme = settings.theme;
    const words = { auto: 'As the system', dark: 'Dark', light: 'Light' }[settings.theme];
    find('#theme').title = `${words} (t)`;
    find('#theme').setAttribute('aria-label', `Theme: ${words.toLowerCase()}`);
    instruments.repaint();
}

/** From what the system has to the other one, and by way of both back to the system. */
function nextTheme() {
    const other = theme() === 'dark' ? 'light' : 'dark';
    settings.theme = { auto: other, dark: 'light', light: 'auto' }[settings.theme];
    saveSettings(settings);
    useTheme();
}

function set(name, value) {
    settings[name] =
        typeof value === 'number' ? Math.min(1, Math.max(0, Math.round(value * 100) / 100)) : value;
    saveSettings(settings);
    useSettings();
}

function useSettings() {
    showSettings((name) => settings[name]);
    sound.setVolume(settings.volume);
    for (const source of run.sources.values()) {
        source.dirty = true;
    }
}

// Time goes by ------------------------------------------------------------------------------------------------

let instrumentsDrawn_ms = 0;

function advance() {
    const now_s = seconds();
    for (const source of run.sources.values()) {
        source.advance(now_s, source === sound.source ? SLEW_HEARD : SLEW);
    }
    sound.pump(document.hidden);
}

function frame(now_ms) {
    requestAnimationFrame(frame);
    advance();
    for (const [id, tile] of run.tiles) {
        if (run.mode === 'grid' || id === run.focus) {
            tile.draw(view());
        }
    }
    const source = focused();
    const line_s = source?.line_s() ?? null;
    level.draw(line_s, now_ms);
    if (now_ms - instrumentsDrawn_ms >= INSTRUMENTS_EVERY_MS) {
        instrumentsDrawn_ms = now_ms;
        // Where motion is unwelcome, time goes by in hops.
        const still = line_s !== null && reduced.matches;
        instruments.draw(still ? Math.floor(line_s / source.hop_s) * source.hop_s : line_s);
    }
    showNow(settings.threshold);
}

/** For tests and the curious: what was drawn, to read and not to change. */
const hook = Object.freeze({
    /** By source, the frame that was drawn last. */
    get sources() {
        const last = [...run.sources].map(([id, { frames }]) => [id, frames.at(-1) ?? null]);
        return structuredClone(Object.fromEntries(last));
    },
    /** The frames that were drawn of a source, oldest first. */
    frames(id) {
        return structuredClone(run.sources.get(id)?.frames ?? []);
    },
    get state() {
        const { connection, mode, focus, paused, ended, again, status } = run;
        const heard = { sound: sound.on, heard_s: sound.heard_s };
        const words = { words: vocabulary.words, seen: vocabulary.seen };
        return structuredClone({
            connection,
            mode,
            focus,
            paused,
            ended,
            again,
            status,
            settings,
            ...heard,
            ...words,
        });
    },
});
Object.defineProperty(window, 'ovavss', { value: hook });

listen({
    pause,
    hear,
    snapshot: () => snapshot(banners, view()),
    clip: () => clip(banners),
    fill,
    nextTheme,
    arrange,
    words: () => vocabulary.focus(),
    set,
    get: (name) => settings[name],
});
document.addEventListener('visibilitychange', () => {
    watch();
    stills();
});
prefersLight.addEventListener('change', () => instruments.repaint());
useTheme();
useSettings();
setInterval(showFigures, FIGURES_EVERY_MS);
setInterval(() => document.hidden && advance(), HIDDEN_EVERY_MS);
setInterval(stills, STILL_EVERY_MS);
requestAnimationFrame(frame);
feed.open();
