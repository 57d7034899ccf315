/** Buttons, sliders and keys: from what a person does to what is to be done. */
import { find, run } from './run.js';

const SLIDERS = ['threshold', 'opacity', 'volume'];

/**
 * @typedef {object} Acts what can be done
 * @property {() => void} pause
 * @property {() => void} hear
 * @property {() => void} snapshot
 * @property {() => void} clip
 * @property {(wanted?: boolean) => void} fill the whole screen
 * @property {() => void} nextTheme
 * @property {(mode: 'grid'|'one', id: string|null) => void} arrange
 * @property {() => void} words
 * @property {(name: string, value: number|boolean) => void} set
 * @property {(name: string) => number|boolean} get
 */

function help(wanted = !find('#help-sheet').open) {
    const sheet = find('#help-sheet');
    if (wanted) {
        sheet.showModal();
    } else {
        sheet.close();
    }
}

/**
 * Brings what has been set to its sliders and boxes.
 * @param {Acts['get']} get
 */
export function showSettings(get) {
    for (const name of SLIDERS) {
        const percent = Math.round(get(name) * 100);
        find(`#${name}`).value = String(percent);
        find(`#${name}-out`).textContent = `${percent} %`;
    }
    find('#all').checked = get('all');
}

/**
 * Listens to buttons, sliders and keys from now on.
 * @param {Acts} acts
 */
export function listen(acts) {
    const keys = keysOf(acts);
    document.addEventListener('keydown', (event) => typed(event, keys, acts));
    const buttons = {
        '#grid': () => acts.arrange(run.mode === 'grid' ? 'one' : 'grid', run.focus),
        '#pause': () => acts.pause(),
        '#sound': () => acts.hear(),
        '#shot': () => acts.snapshot(),
        '#clip': () => acts.clip(),
        '#full': () => acts.fill(),
        '#theme': () => acts.nextTheme(),
        '#help': () => help(true),
        '#help-close': () => help(false),
    };
    for (const [selector, act] of Object.entries(buttons)) {
        find(selector).addEventListener('click', act);
    }
    for (const name of SLIDERS) {
        find(`#${name}`).addEventListener('input', ({ target }) =>
            acts.set(name, Number(target.value) / 100),
        );
    }
    find('#all').addEventListener('change', ({ target }) => acts.set('all', target.checked));
    find('#help-sheet').addEventListener('click', ({ target, currentTarget }) => {
        if (target === currentTarget) {
            help(false); // beside the sheet
        }
    });
    find('#token-sheet').addEventListener('cancel', (event) => event.preventDefault());
    find('#token-form').addEventListener('submit', (event) => {
        event.preventDefault();
        location.assign(`/?${new URLSearchParams({ token: find('#token').value.trim() })}`);
    });
    document.addEventListener('fullscreenchange', () => {
        if (!document.fullscreenElement && document.body.dataset.wall === 'true') {
            acts.fill(false);
        }
    });
}

function keysOf(acts) {
    const by = (name, step) => () => acts.set(name, acts.get(name) + step);
    return {
        ' ': acts.pause,
        m: acts.hear,
        s: acts.snapshot,
        c: acts.clip,
        f: () => acts.fill(),
        t: acts.nextTheme,
        g: () => acts.arrange('grid', run.focus),
        v: acts.words,
        a: () => acts.set('all', !acts.get('all')),
        '[': by('threshold', -0.05),
        ']': by('threshold', 0.05),
        '-': by('opacity', -0.04),
        '+': by('opacity', 0.04),
        '=': by('opacity', 0.04),
        '?': () => help(),
    };
}

function typed(event, keys, acts) {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) {
        return;
    }
    const writing = target.matches('input[type="text"], input[type="password"], textarea');
    const sheet = find('dialog[open]');
    if (key === 'Escape') {
        if (writing) {
            target.blur();
        } else if (!sheet) {
            stepBack(acts);
        }
        return;
    }
    if (writing || (sheet && key !== '?')) {
        return;
    }
    if (key === ' ' && target.closest('button, input')) {
        return; // the space bar presses what has the focus
    }
    if (/^[1-9]$/.test(key)) {
        const id = [...run.sources.keys()][Number(key) - 1];
        if (id) {
            acts.arrange('one', id);
        }
        return;
    }
    const act = keys[key.length === 1 ? key.toLowerCase() : key];
    if (act) {
        event.preventDefault();
        act();
    }
}

function stepBack(acts) {
    if (document.body.dataset.wall === 'true') {
        acts.fill(false);
    } else if (run.mode === 'one') {
        acts.arrange('grid', run.focus);
    }
}
