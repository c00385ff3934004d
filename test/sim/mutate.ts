/** Loaded before the simulator: plants one bug (MUTATION names it, mutations.ts has it) in the source as it is read. */
import { registerHooks } from 'node:module';
import { mutations } from './mutations.ts';

const mutation = mutations.find(({ name }) => name === process.env.MUTATION);
if (mutation === undefined) throw new Error(`there is no mutation '${process.env.MUTATION}'`);
const { file, find, put } = mutation;

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    if (!url.endsWith(file)) return loaded;
    const source = String(loaded.source);
    if (source.split(find).length !== 2) throw new Error(`${file} has not exactly one: ${find}`);
    return { ...loaded, source: source.replace(find, () => put) };
  },
});
