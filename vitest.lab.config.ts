import { defineConfig } from 'vitest/config';

/** Real hosts, one suite after the other: they share this machine's cores. */
export default defineConfig({
  test: {
    include: ['test/lab/**/*.lab.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 180_000,
    maxWorkers: 1,
    fileParallelism: false,
    bail: 0,
  },
});
