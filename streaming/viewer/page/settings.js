/** What a person has set, kept for the next time. */

const KEY = 'ov-avss-live';
const DEFAULTS = Object.freeze({ theme: 'auto', threshold: 0, opacity: 0.36, all: false, volume: 0.8 });
const THEMES = ['auto', 'dark', 'light'];

/**
 * @param {unknown} stored whatever was found
 * @returns {{theme: string, threshold: number, opacity: number, all: boolean, volume: number}}
 */
export function checkedSettings(stored) {
    const share = (value, instead) => (Number.isFinite(value) && value >= 0 && value <= 1 ? value : instead);
    const from = stored && typeof stored === 'object' ? stored : {};
    return {
        theme: THEMES.includes(from.theme) ? from.theme : DEFAULTS.theme,
        threshold: share(from.threshold, DEFAULTS.threshold),
        opacity: share(from.opacity, DEFAULTS.opacity),
        all: from.all === true,
        volume: share(from.volume, DEFAULTS.volume),
    };
}

/** @returns {ReturnType<typeof checkedSettings>} */
export function loadSettings() {
    try {
        return checkedSettings(JSON.parse(localStorage.getItem(KEY) ?? 'null'));
    } catch {
        return checkedSettings(null); // a browser that keeps nothing is no fault
    }
}

/** @param {ReturnType<typeof checkedSettings>} settings */
export function saveSettings(settings) {
    try {
        localStorage.setItem(KEY, JSON.stringify(settings));
    } catch {
        // The same.
    }
}
