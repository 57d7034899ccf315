/** What the page knows of the run it shows: one object, which the parts of the page share. */

/**
 * @type {{
 *     sources: Map<string, import('./source.js').Source>,
 *     tiles: Map<string, import('./tile.js').Tile>,
 *     live: Set<string>,
 *     focus: string|null,
 *     mode: 'grid'|'one',
 *     paused: boolean,
 *     ended: boolean,
 *     again: boolean,
 *     connection: 'connecting'|'open'|'lost'|'over'|'refused',
 *     status: {sources: object, nodes: object, viewers: number},
 * }}
 * `live`: sources that have been live; `focus`: the source that is enlarged, or whose sound is shown; `mode`: all
 * sources side by side, or one of them enlarged; `ended`: the run is over; `again`: it is, and is played again.
 */
export const run = {
    sources: new Map(),
    tiles: new Map(),
    live: new Set(),
    focus: null,
    mode: 'one',
    paused: false,
    ended: false,
    again: false,
    connection: 'connecting',
    status: { sources: {}, nodes: {}, viewers: 0 },
};

/** @returns {import('./source.js').Source|null} the source in focus */
export const focused = () => run.sources.get(run.focus) ?? null;

/** @returns {boolean} whether what is shown of a source is of now */
export function isOfNow(source) {
    return run.connection === 'open' && !run.ended && !['lost', 'done'].includes(source.status?.state);
}

/**
 * @param {string} selector of an element of index.html
 * @returns {HTMLElement}
 */
export const find = (selector) => document.querySelector(selector);
