/** What is wrong, in words: from the status of a run to banners. Pure. */
import { oneLine } from './look.js';

const NODES = {
    capture: 'The capture node',
    feature: 'The feature node',
    model: 'The model',
    classification: 'The naming node',
    recorder: 'The recorder',
    viewer: 'The viewer',
};

const nodeName = (id) =>
    NODES[id] ?? (NODES[id.split(/[.:-]/)[0]] ? `${NODES[id.split(/[.:-]/)[0]]} (${id})` : id);

const bare = (words) => oneLine(words ?? '', 240).replace(/[.\s]+$/, '');

/** What happened to a node, as a sentence; `died` goes on from its name, such as "was killed by SIGKILL". */
function fate(name, died, otherwise) {
    return `${name} ${bare(died) || otherwise}.`;
}

/**
 * @typedef {{key: string, level: 'bad'|'warn', text: string, back: string}} Trouble `back`: what is said when it
 *     is over
 */

/**
 * @param {object} status a message of type `status`
 * @param {Set<string>} seen sources that have been live; one that has not is only on its way
 * @returns {Trouble[]}
 */
export function troublesOf(status, seen) {
    const troubles = [];
    for (const [id, node] of Object.entries(status.nodes ?? {})) {
        const name = nodeName(oneLine(id, 40));
        if (node.state === 'down' || (node.state === 'starting' && node.restarts > 0)) {
            troubles.push({
                key: `node:${id}`,
                level: 'bad',
                text: `${fate(name, node.died, 'is down')} It is being started again.`,
                back: `${name} is back.`,
            });
        } else if (node.state === 'failed') {
            troubles.push({
                key: `node:${id}`,
                level: 'bad',
                text: `${fate(name, node.died, 'has failed')} It is not started again.`,
                back: `${name} is back.`,
            });
        }
    }
    for (const [id, source] of Object.entries(status.sources ?? {})) {
        const name = oneLine(id, 64);
        if (source.state === 'lost' || (source.state === 'connecting' && seen.has(id))) {
            troubles.push({
                key: `source:${id}`,
                level: 'bad',
                text: `${name} is lost${bare(source.reason) ? `: ${bare(source.reason)}` : ''}. It is tried again.`,
                back: `${name} is back.`,
            });
        }
    }
    return troubles;
}
