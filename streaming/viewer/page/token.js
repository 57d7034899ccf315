/** Asks for the token, and comes in with it. */

const form = document.querySelector('#token-form');
const input = document.querySelector('#token');
const say = document.querySelector('#token-say');

if (new URLSearchParams(location.search).has('token')) {
    say.textContent =
        'This token was not right. It is viewer.token of the configuration that the pipeline runs with.';
    say.dataset.level = 'bad';
    history.replaceState(null, '', location.pathname);
}
form.addEventListener('submit', (event) => {
    event.preventDefault();
    const token = input.value.trim();
    if (token) {
        location.assign(`/?${new URLSearchParams({ token })}`);
    }
});
input.focus();
