/** What a person takes along: a snapshot as picture and answer, or a clip of the last seconds. */
import { clockText, oneLine } from './look.js';
import { find, focused, run } from './run.js';

const CLIP_S = 30;
const READ_MS = 8000;
/** How long the browser is given to take a file. */
const KEPT_MS = 30000;

function save(blob, name) {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
}

function nameOf(source, ending) {
    const t = clockText(source.picture?.t_s ?? 0)
        .replaceAll(':', 'm')
        .replace('.', 's');
    return `${source.id}-${t}.${ending}`;
}

function warn(banners, key, text) {
    banners.raise(key, 'warn', text);
    setTimeout(() => banners.drop(key), READ_MS);
}

/**
 * Saves what is shown, as PNG and as JSON.
 * @param {import('./banners.js').Banners} banners
 * @param {{opacity: number, threshold: number, all: boolean}} view
 */
export async function snapshot(banners, view) {
    const source = focused();
    const png = await source?.png(view);
    if (!png) {
        warn(banners, 'shot', 'There is no picture yet.');
        return;
    }
    const answer = JSON.stringify(source.json(view), null, 2);
    const name = nameOf(source, 'png');
    save(png, name);
    save(new Blob([answer], { type: 'application/json' }), nameOf(source, 'json'));
    banners.raise('shot', 'good', `Saved ${name} and its JSON.`);
}

let clipping = false;

/**
 * Has the last seconds made into a film, and saves it.
 * @param {import('./banners.js').Banners} banners
 */
export async function clip(banners) {
    const source = focused();
    if (!source || clipping) {
        return;
    }
    if (run.connection !== 'open') {
        warn(banners, 'clip', 'There is no clip: the pipeline is not there any more.');
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
        const name = nameOf(source, 'mp4');
        save(await answer.blob(), name);
        banners.raise('clip', 'good', `Saved ${name}.`);
    } catch (error) {
        warn(banners, 'clip', `There is no clip: ${oneLine(error.message, 240)}`);
    } finally {
        clipping = false;
        find('#clip').disabled = false;
    }
}
