/** How the run stands: the word in the bar, what is wrong, and the nodes. */
import { oneLine } from './look.js';
import { find, run } from './run.js';
import { troublesOf } from './troubles.js';

const WORDS = {
    connecting: 'connecting',
    starting: 'starting',
    live: 'live',
    lost: 'no connection',
    refused: 'token needed',
    trouble: 'trouble',
    ended: 'ended',
    again: 'played again',
};

/** @type {Map<string, string>} what is shown as wrong, and what to say when it is over */
const shown = new Map();

/** The word in the bar. */
export function showRun() {
    const state = stateOf();
    find('#run').dataset.state = state;
    find('#run-text').textContent = run.paused ? 'view paused' : WORDS[state];
}

function stateOf() {
    if (run.again && run.connection === 'open') {
        return 'again';
    }
    const states = Object.values(run.status.sources ?? {}).map(({ state }) => state);
    if (run.ended || (states.length && states.every((state) => state === 'done'))) {
        return 'ended';
    }
    if (run.connection !== 'open') {
        return run.connection;
    }
    if (shown.size) {
        return 'trouble';
    }
    return states.some((state) => state === 'live' || state === 'ready') ? 'live' : 'starting';
}

/**
 * What is wrong, as banners, and that it is over.
 * @param {import('./banners.js').Banners} banners
 */
export function showTroubles(banners) {
    const troubles = troublesOf(run.status, run.live);
    const present = new Set(troubles.map(({ key }) => key));
    for (const [key, back] of shown) {
        if (!present.has(key)) {
            shown.delete(key);
            if (run.ended) {
                banners.drop(key);
            } else {
                banners.over(key, back);
            }
        }
    }
    for (const { key, level, text, back } of troubles) {
        banners.drop(`${key}:over`);
        banners.raise(key, level, text);
        shown.set(key, back);
    }
}

/** The nodes of the pipeline, and how many watch. */
export function showNodes() {
    const list = find('#nodes');
    const nodes = Object.entries(run.status.nodes ?? {});
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
        const item = list.children[index];
        const [, name, state] = item.children;
        item.dataset.state = oneLine(node.state, 20);
        item.title = oneLine(node.died ?? '', 300);
        name.textContent = oneLine(id, 40);
        state.textContent = toldOf(node);
    });
    const { viewers } = run.status;
    find('#viewers').textContent = viewers > 1 ? `${viewers} are watching` : '';
}

function toldOf({ state, restarts, memory_mib }) {
    const told = [oneLine(state, 20)];
    if (restarts > 0) {
        told.push(restarts === 1 ? 'restarted once' : `restarted ${restarts} times`);
    }
    if (memory_mib > 0) {
        told.push(`${Math.round(memory_mib)} MiB`);
    }
    return told.join(' · ');
}
