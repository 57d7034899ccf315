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

const nodeName = (id) => NODES[id] ?? (NODES[id.split(/[.:-]/)[0]] ? `${NODES[id.split(/[.:-]/)[0]]} (${id})` : id);

/** Words and why, as one sentence. */
function because(words, reason) {
    const why = oneLine(reason ?? '', 240).replace(/[.\s]+$/, '');
    return why ? `${words}: ${why}.` : `${words}.`;
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
                text: `${because(`${name} is down`, node.died)} It is being started again.`,
                back: `${name} is back.`,
            });
        } else if (node.state === 'failed') {
            troubles.push({
                key: `node:${id}`,
                level: 'bad',
                text: `${because(`${name} has failed`, node.died)} It is not started again.`,
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
                text: `${because(`${name} is lost`, source.reason)} It is tried again.`,
                back: `${name} is back.`,
            });
        }
    }
    return troubles;
}
