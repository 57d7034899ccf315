/** The page: joins the feed, the sources, what is drawn and what a person does. */
import { Banners } from './banners.js';
import { Feed, checkedHop, checkedResult } from './feed.js';
import { Instruments } from './instruments.js';
import { clockText, css, oneLine, trackColour } from './look.js';
import { METER_FLOOR_DBFS } from './painter.js';
import { Meter } from './mel.js';
import { loadSettings, saveSettings } from './settings.js';
import { Sound } from './sound.js';
import { Source } from './source.js';
import { Tile } from './tile.js';
import { troublesOf } from './troubles.js';
import { Vocabulary } from './vocabulary.js';

const CLIP_S = 30;
const FULL_RATE_FPS = 60;
const STILL_EVERY_MS = 2000;
const INSTRUMENTS_EVERY_MS = 33;
const NOW_EVERY_MS = 250;
const MOST_NOW = 5;
const SLEW = 0.12;
/** With sound on, the clock is pulled so gently that nobody hears it. */
const SLEW_HEARD = 0.015;

const find = (selector) => document.querySelector(selector);
const seconds = () => performance.now() / 1000;
const reduced = matchMedia('(prefers-reduced-motion: reduce)');
const prefersLight = matchMedia('(prefers-color-scheme: light)');

const settings = loadSettings();
const view = {
    get opacity() { return settings.opacity; },
    get threshold() { return settings.threshold; },
    get all() { return settings.all; },
};
const theme = () => (settings.theme === 'auto' ? (prefersLight.matches ? 'light' : 'dark') : settings.theme);

/** @type {Map<string, Source>} */
const sources = new Map();
/** @type {Map<string, Tile>} */
const tiles = new Map();
const live = new Set();
let focus = null;
let mode = 'one';
let paused = false;
let ended = false;
let connection = 'connecting';
let status = { sources: {}, nodes: {}, viewers: 0 };

const banners = new Banners(find('#banners'));
const sound = new Sound();
sound.setVolume(settings.volume);
const instruments = new Instruments(find('#instruments'), { theme, threshold: () => settings.threshold });
const level = { meter: new Meter(), bar: find('#level i'), text: find('#level-text'), box: find('#level'), told_ms: 0 };
const vocabulary = new Vocabulary(find('#vocabulary'), (words) => feed.request({ type: 'vocabulary.set', words }));

// What the server says ----------------------------------------------------------------------------------------

const byNumber = (number) => [...sources.values()].find((source) => source.number === number) ?? null;

const says = {
    hello(message) {
        const hop_s = Number.isFinite(message.hop_s) && message.hop_s > 0 ? message.hop_s : 0.5;
        const wanted = Array.isArray(message.sources) ? message.sources : [];
        arrangeSources(wanted, hop_s);
        for (const source of sources.values()) {
            source.notice = oneLine(message.notice ?? '', 120);
        }
        vocabulary.begin(message.vocabulary, Array.isArray(message.presets) ? message.presets : []);
        find('#line-title').title = `Model: ${oneLine(message.model ?? '', 40)}`;
        ended = false;
        banners.drop('ended');
        watch();
    },
    history(message) {
        const source = sources.get(message.source);
        if (!source) {
            return;
        }
        const hops = (Array.isArray(message.hops) ? message.hops : []).map(checkedHop).filter(Boolean);
        if (source.isOther(hops.at(-1))) {
            source.restart();
            instruments.repaint();
        }
        source.history.clear();
        hops.forEach((hop) => source.addHop(hop));
    },
    result(message) {
        const source = sources.get(message.source);
        const result = source && checkedResult(message);
        if (result) {
            source.addResult(result, seconds());
        }
    },
    status(message) {
        status = { ...status, ...message };
        for (const [id, one] of Object.entries(message.sources ?? {})) {
            const source = sources.get(id);
            if (source) {
                source.status = one;
                source.has_audio = one.has_audio !== false;
            }
            if (one.state === 'live') {
                live.add(id);
            }
        }
        showTroubles();
        showLine();
        tiles.forEach((tile) => tile.update());
    },
    vocabulary(message) {
        vocabulary.set(message.revision, message.words, message.seen);
    },
    ended(message) {
        ended = true;
        const reason = oneLine(message.reason ?? '', 200);
        banners.raise('ended', 'note', `The run is over${reason ? `: ${reason}` : ''}.`);
        const over = (ids, all) => Object.fromEntries(ids.map((id) => [id, { ...all[id], state: 'done' }]));
        says.status({ ...status, sources: over([...sources.keys()], status.sources ?? {}),
            nodes: over(Object.keys(status.nodes ?? {}), status.nodes) });
    },
};

function takeBinary(message) {
    const source = byNumber(message.number);
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
    refused: async () => {
        if (ended) {
            return false;
        }
        try {
            return [401, 403].includes((await fetch('status')).status);
        } catch {
            return false;
        }
    },
});

function connected(state, wait_ms) {
    if (state === 'open') {
        banners.over('connection', 'The page has found the pipeline again.');
    } else if (state === 'lost' && !ended) {
        const wait = Math.max(1, Math.round(wait_ms / 1000));
        banners.raise('connection', 'bad', `The page has lost the pipeline. It tries again in ${wait} s.`,
            { label: 'Try now', act: () => feed.now() });
    } else if (state === 'refused') {
        banners.drop('connection');
        find('#token-sheet').showModal();
    }
    connection = state;
    showRun();
}

function arrangeSources(wanted, hop_s) {
    const list = wanted.filter((one) => one && typeof one.id === 'string' && Number.isInteger(one.number));
    const key = (all) => all.map(({ id, number }) => `${number}:${id}`).join(' ');
    if (key(list) === key([...sources.values()])) {
        for (const source of sources.values()) {
            source.forget(); // the same run, seen again: the timeline stays
        }
        return;
    }
    find('#stages').replaceChildren();
    sources.clear();
    tiles.clear();
    live.clear();
    for (const { id, number } of list) {
        const source = new Source(id, number, hop_s);
        sources.set(id, source);
        tiles.set(id, new Tile(source, find('#stages'), () => choose(id)));
    }
    focus = sources.keys().next().value ?? null;
    arrange(sources.size > 1 ? 'grid' : 'one', focus);
}

// Which sources are seen --------------------------------------------------------------------------------------

function choose(id) {
    if (sources.size > 1) {
        arrange(mode === 'one' && focus === id ? 'grid' : 'one', id);
    }
}

function arrange(newMode, id) {
    mode = sources.size > 1 ? newMode : 'one';
    focus = sources.has(id) ? id : focus;
    const stages = find('#stages');
    stages.dataset.mode = mode;
    stages.dataset.count = String(sources.size);
    stages.style.setProperty('--others', String(Math.max(1, sources.size - 1)));
    find('#grid').hidden = sources.size < 2;
    find('#grid').setAttribute('aria-pressed', String(mode === 'grid'));
    for (const [name, tile] of tiles) {
        tile.arrange(mode === 'one' && name === focus, sources.size > 1);
        tile.root.dataset.focus = String(name === focus);
        tile.still.hidden = mode === 'grid' || name === focus;
    }
    find('#sound-of').textContent = sources.size > 1 ? focus : '';
    instruments.show(sources.get(focus) ?? null);
    if (sound.on) {
        sound.listen(sources.get(focus) ?? null);
    }
    watch();
    showNow(true);
    stills();
}

/** Tells the server which pictures are wanted: those that are seen, as fast as they are worth it. */
function watch() {
    if (!sources.size) {
        return;
    }
    const wanted = mode === 'grid' ? [...sources.keys()] : [focus];
    const fps = mode === 'grid' ? (sources.size <= 2 ? 30 : sources.size <= 4 ? 15 : 8) : FULL_RATE_FPS;
    feed.send({
        type: 'watch',
        sources: document.hidden ? [] : wanted,
        max_fps: fps,
        sound: sound.on ? focus : null,
    });
}

/** Of the sources beside the enlarged one, a still picture now and then. */
function stills() {
    if (mode === 'grid' || document.hidden || connection !== 'open') {
        return;
    }
    for (const [id, tile] of tiles) {
        const newest = sources.get(id).following.newest;
        if (id !== focus && newest) {
            const query = new URLSearchParams({ source: id, generation: newest.generation,
                t_s: newest.frame_t_s.toFixed(3) });
            fetch(`frame?${query}`)
                .then((answer) => (answer.ok ? answer.blob() : null))
                .then((found) => found && showStill(tile, found))
                .catch(() => {}); // the next one may come
        }
    }
}

function showStill(tile, blob) {
    const before = tile.still.src;
    tile.still.src = URL.createObjectURL(blob);
    tile.still.onload = () => before.startsWith('blob:') && URL.revokeObjectURL(before);
}

// What is said in words ---------------------------------------------------------------------------------------

function showRun() {
    const run = find('#run');
    const states = Object.values(status.sources ?? {}).map(({ state }) => state);
    let state = connection === 'open' ? 'starting' : connection;
    if (ended) {
        state = 'ended';
    } else if (connection === 'open' && troubled) {
        state = 'trouble';
    } else if (connection === 'open' && states.some((one) => one === 'live' || one === 'ready')) {
        state = 'live';
    } else if (connection === 'open' && states.length && states.every((one) => one === 'done')) {
        state = 'ended';
    }
    const words = { connecting: 'connecting', starting: 'starting', live: 'live', lost: 'no connection',
        refused: 'token needed', trouble: 'trouble', ended: 'ended' };
    run.dataset.state = state;
    find('#run-text').textContent = paused ? 'view paused' : words[state];
}

let troubled = false;

function showTroubles() {
    const troubles = troublesOf(status, live);
    troubled = troubles.length > 0;
    const present = new Set(troubles.map(({ key }) => key));
    for (const [key, back] of shownTroubles) {
        if (!present.has(key)) {
            banners.over(key, back);
            shownTroubles.delete(key);
        }
    }
    for (const { key, level: how, text, back } of troubles) {
        banners.drop(`${key}:over`);
        banners.raise(key, how, text);
        shownTroubles.set(key, back);
    }
    showRun();
}

/** @type {Map<string, string>} what is shown as wrong, and what to say when it is over */
const shownTroubles = new Map();

function showLine() {
    const list = find('#nodes');
    const nodes = Object.entries(status.nodes ?? {});
    while (list.children.length < nodes.length) {
        const item = document.createElement('li');
        const dot = document.createElement('i');
        dot.className = 'dot';
        item.append(dot, document.createElement('span'), document.createElement('span'));
        list.append(item);
    }
    while (list.children.length > nodes.length) {
        list.lastElementChild.remove();
    }
    nodes.forEach(([id, node], index) => {
        const [, name, state] = list.children[index].children;
        list.children[index].dataset.state = oneLine(node.state, 20);
        name.textContent = oneLine(id, 40);
        const memory = Number.isFinite(node.memory_mib) && node.memory_mib > 0 ? `${Math.round(node.memory_mib)} MiB` : '';
        const restarts = node.restarts > 0 ? `restarted ${node.restarts === 1 ? 'once' : `${node.restarts} times`}` : '';
        state.textContent = [oneLine(node.state, 20), restarts, memory].filter(Boolean).join(' · ');
        list.children[index].title = oneLine(node.died ?? '', 300);
    });
    const { viewers } = status;
    find('#viewers').textContent = viewers > 1 ? `${viewers} are watching` : '';
}

let nowShown = '';
let nowShown_ms = 0;

/** The line that can be read from across the room. */
function showNow(at_once = false) {
    const now_ms = performance.now();
    if (!at_once && now_ms - nowShown_ms < NOW_EVERY_MS) {
        return;
    }
    nowShown_ms = now_ms;
    const heard = mode === 'grid' ? [...sources.values()] : [sources.get(focus)].filter(Boolean);
    const several = heard.length > 1;
    const entries = new Map();
    const add = (text, colour, source) => {
        const key = `${colour}${text}`;
        entries.set(key, entries.get(key) ?? { text, colour, where: [] });
        if (several && !entries.get(key).where.includes(source.id)) {
            entries.get(key).where.push(source.id);
        }
    };
    let waiting = true;
    for (const source of heard) {
        waiting &&= !source.picture;
        if (connection !== 'open' || ended || ['lost', 'done'].includes(source.status?.state)) {
            continue; // what is seen of it is not of now
        }
        const { tracks, offscreen } = source.sounding(settings.threshold);
        for (const track of [...tracks].sort((a, b) => a.id - b.id)) {
            add(track.label, css(trackColour(track.id)), source);
        }
        if (offscreen) {
            add('off-screen sound', '', source);
        }
    }
    const none = ended ? 'The run is over' : connection !== 'open' ? 'No connection'
        : waiting ? 'Waiting for a picture' : 'Nothing';
    const key = JSON.stringify([...entries.values(), none]);
    if (key === nowShown) {
        return;
    }
    nowShown = key;
    const list = find('#now');
    if (!entries.size) {
        const item = document.createElement('li');
        item.className = 'now-none';
        item.textContent = none;
        list.replaceChildren(item);
        return;
    }
    const left = entries.size - MOST_NOW;
    const items = [...entries.values()].slice(0, left > 0 ? MOST_NOW : undefined).map(({ text, where, colour }) => {
        const item = document.createElement('li');
        const swatch = document.createElement('i');
        swatch.setAttribute('aria-hidden', 'true');
        if (colour) {
            swatch.style.backgroundColor = colour;
        } else {
            swatch.className = 'outside';
        }
        const words = document.createElement('span');
        words.textContent = text;
        item.append(swatch, words);
        if (where.length) {
            const places = document.createElement('small');
            places.textContent = where.join(', ');
            item.append(places);
        }
        return item;
    });
    if (left > 0) {
        const more = document.createElement('li');
        more.className = 'now-none';
        more.textContent = `and ${left} more`;
        items.push(more);
    }
    list.replaceChildren(...items);
}

function showLevel(line_s, now_ms) {
    const source = sources.get(focus);
    const silent = source?.has_audio === false;
    const still = ended || connection !== 'open' || source?.status?.state === 'lost';
    const heard = source && line_s !== null && !silent && !still ? source.mel.level(line_s) : null;
    const dbfs = level.meter.next(heard ?? -120, now_ms / 1000);
    const share = Math.max(0, 1 - dbfs / METER_FLOOR_DBFS);
    level.bar.style.transform = `scaleX(${(1 - share).toFixed(3)})`;
    if (now_ms - level.told_ms > 200) {
        level.told_ms = now_ms;
        const shown = Math.round(Math.max(METER_FLOOR_DBFS, dbfs));
        level.text.textContent = silent ? 'no sound' : dbfs <= METER_FLOOR_DBFS ? 'silence' : `${shown} dBFS`.replace('-', '−');
        level.box.setAttribute('aria-valuenow', String(shown));
    }
}

// What a person does ------------------------------------------------------------------------------------------

function pause(wanted = !paused) {
    paused = wanted;
    for (const source of sources.values()) {
        source.paused = paused;
    }
    sound.hold(paused);
    document.body.dataset.paused = String(paused);
    press('#pause', paused, paused ? '#i-play' : '#i-pause', paused ? 'Go on' : 'Pause');
    showRun();
    tiles.forEach((tile) => tile.update());
}

function press(selector, pressed, icon, words) {
    const button = find(selector);
    button.setAttribute('aria-pressed', String(pressed));
    button.querySelector('use').setAttribute('href', icon);
    button.querySelector('span').textContent = words;
}

async function hear(wanted = !sound.on) {
    const source = wanted ? sources.get(focus) ?? null : null;
    press('#sound', Boolean(source), source ? '#i-sound' : '#i-muted', 'Sound');
    try {
        await sound.listen(source);
    } catch (error) {
        banners.raise('sound', 'warn', `The sound cannot be played: ${error.message}`);
    }
    watch();
}

function save(blob, name) {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 30000);
}

function fileName(source, ending) {
    const t = clockText(source.picture?.t_s ?? 0).replaceAll(':', 'm').replace('.', 's');
    return `${source.id}-${t}.${ending}`;
}

async function snapshot() {
    const source = sources.get(focus);
    const png = await source?.png({ ...viewNow(), opacity: settings.opacity });
    if (!png) {
        banners.raise('shot', 'warn', 'There is no picture yet.');
        setTimeout(() => banners.drop('shot'), 3000);
        return;
    }
    const name = fileName(source, 'png');
    save(png, name);
    save(new Blob([JSON.stringify(source.json(viewNow()), null, 2)], { type: 'application/json' }), fileName(source, 'json'));
    banners.raise('shot', 'good', `Saved ${name} and its JSON.`);
}

const viewNow = () => ({ opacity: settings.opacity, threshold: settings.threshold, all: settings.all });

let clipping = false;

async function clip() {
    const source = sources.get(focus);
    if (!source || clipping) {
        return;
    }
    clipping = true;
    find('#clip').disabled = true;
    banners.raise('clip', 'note', `Making a clip of the last ${CLIP_S} s of ${source.id} …`);
    try {
        const answer = await fetch(`clip?${new URLSearchParams({ source: source.id, seconds: CLIP_S })}`);
        if (!answer.ok) {
            throw new Error(oneLine(await answer.text(), 200) || `the server says ${answer.status}`);
        }
        const name = fileName(source, 'mp4');
        save(await answer.blob(), name);
        banners.raise('clip', 'good', `Saved ${name}.`);
    } catch (error) {
        banners.raise('clip', 'warn', `There is no clip: ${oneLine(error.message, 240)}`);
        setTimeout(() => banners.drop('clip'), 8000);
    } finally {
        clipping = false;
        find('#clip').disabled = false;
    }
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

function setTheme(wanted) {
    settings.theme = wanted;
    document.documentElement.dataset.theme = wanted;
    const words = { auto: 'As the system', dark: 'Dark', light: 'Light' }[wanted];
    find('#theme').title = `${words} (t)`;
    find('#theme').setAttribute('aria-label', `Theme: ${words.toLowerCase()}`);
    instruments.repaint();
}

function set(name, value) {
    settings[name] = typeof value === 'number' ? Math.min(1, Math.max(0, Math.round(value * 100) / 100)) : value;
    saveSettings(settings);
    showSettings();
}

function showSettings() {
    for (const name of ['threshold', 'opacity', 'volume']) {
        find(`#${name}`).value = String(Math.round(settings[name] * 100));
        find(`#${name}-out`).textContent = `${Math.round(settings[name] * 100)} %`;
    }
    find('#all').checked = settings.all;
    sound.setVolume(settings.volume);
    for (const source of sources.values()) {
        source.dirty = true;
    }
}

function help(wanted = !find('#help-sheet').open) {
    const sheet = find('#help-sheet');
    if (wanted) {
        sheet.showModal();
    } else {
        sheet.close();
    }
}

const nextTheme = () => ({ auto: theme() === 'dark' ? 'light' : 'dark', dark: 'light', light: 'auto' })[settings.theme];

const KEYS = {
    ' ': () => pause(),
    m: () => hear(),
    s: () => snapshot(),
    c: () => clip(),
    f: () => fill(),
    t: () => { setTheme(nextTheme()); saveSettings(settings); },
    g: () => arrange('grid', focus),
    v: () => vocabulary.focus(),
    a: () => set('all', !settings.all),
    '[': () => set('threshold', settings.threshold - 0.05),
    ']': () => set('threshold', settings.threshold + 0.05),
    '-': () => set('opacity', settings.opacity - 0.04),
    '+': () => set('opacity', settings.opacity + 0.04),
    '=': () => set('opacity', settings.opacity + 0.04),
    '?': () => help(),
};

function typed(event) {
    const { target, key } = event;
    const writing = target.matches('input[type="text"], input[type="password"], textarea');
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) {
        return;
    }
    if (key === 'Escape') {
        if (writing) {
            target.blur();
        } else if (!find('dialog[open]') && document.body.dataset.wall === 'true') {
            fill(false);
        } else if (!find('dialog[open]') && mode === 'one') {
            arrange('grid', focus);
        }
        return;
    }
    if (writing || (find('dialog[open]') && key !== '?')) {
        return;
    }
    if (key === ' ' && target.closest('button, summary, input, [role="button"]')) {
        return; // the space bar presses what has the focus
    }
    if (/^[1-9]$/.test(key)) {
        const id = [...sources.keys()][Number(key) - 1];
        if (id) {
            arrange('one', id);
        }
        return;
    }
    const act = KEYS[key.length === 1 ? key.toLowerCase() : key];
    if (act) {
        event.preventDefault();
        act();
    }
}

function listen() {
    document.addEventListener('keydown', typed);
    const press_ = { '#grid': () => arrange(mode === 'grid' ? 'one' : 'grid', focus), '#pause': () => pause(),
        '#sound': () => hear(), '#shot': snapshot, '#clip': clip, '#full': () => fill(), '#theme': KEYS.t,
        '#help': () => help(true), '#help-close': () => help(false) };
    for (const [selector, act] of Object.entries(press_)) {
        find(selector).addEventListener('click', () => act());
    }
    for (const name of ['threshold', 'opacity', 'volume']) {
        find(`#${name}`).addEventListener('input', (event) => set(name, Number(event.target.value) / 100));
    }
    find('#all').addEventListener('change', (event) => set('all', event.target.checked));
    find('#help-sheet').addEventListener('click', (event) => event.target === event.currentTarget && help(false));
    find('#token-sheet').addEventListener('cancel', (event) => event.preventDefault());
    find('#token-form').addEventListener('submit', (event) => {
        event.preventDefault();
        location.assign(`/?${new URLSearchParams({ token: find('#token').value.trim() })}`);
    });
    document.addEventListener('fullscreenchange', () => {
        if (!document.fullscreenElement && document.body.dataset.wall === 'true') {
            fill(false);
        }
    });
    document.addEventListener('visibilitychange', () => {
        watch();
        stills();
    });
    prefersLight.addEventListener('change', () => instruments.repaint());
}

// Time goes by ------------------------------------------------------------------------------------------------

let instrumentsDrawn_ms = 0;

function advance() {
    const now_s = seconds();
    for (const source of sources.values()) {
        source.advance(now_s, sound.on && source === sound.source ? SLEW_HEARD : SLEW);
    }
    sound.pump(document.hidden);
}

function frame(now_ms) {
    requestAnimationFrame(frame);
    advance();
    for (const [id, tile] of tiles) {
        if (mode === 'grid' || id === focus) {
            tile.draw(view);
        }
    }
    const source = sources.get(focus);
    let line_s = source?.line_s() ?? null;
    if (now_ms - instrumentsDrawn_ms >= INSTRUMENTS_EVERY_MS) {
        instrumentsDrawn_ms = now_ms;
        if (!paused) {
            showLevel(line_s, now_ms);
        }
        if (line_s !== null && reduced.matches) {
            line_s = Math.floor(line_s / source.hop_s) * source.hop_s;
        }
        instruments.draw(line_s);
    }
    showNow();
}

/** For tests and the curious: what was drawn, to read and not to change. */
Object.defineProperty(window, 'ovavss', {
    value: Object.freeze({
        get sources() {
            return Object.fromEntries([...sources].map(([id, source]) => [id, structuredClone(source.frames.at(-1) ?? null)]));
        },
        /** The last frames that were drawn of a source, oldest first. */
        frames(id) {
            return structuredClone(sources.get(id)?.frames ?? []);
        },
        get state() {
            return structuredClone({ connection, mode, focus, paused, ended, sound: sound.on, heard_s: sound.heard_s, status, settings,
                words: vocabulary.words, seen: vocabulary.seen });
        },
    }),
});

setTheme(settings.theme);
showSettings();
listen();
setInterval(() => tiles.forEach((tile) => tile.update()), 500);
setInterval(() => document.hidden && advance(), 250);
setInterval(stills, STILL_EVERY_MS);
requestAnimationFrame(frame);
feed.open();
