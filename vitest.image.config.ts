import { defineConfig } from 'vitest/config';

/** Boards from an image, emulated: a quarter of an hour where the base is not kept yet, so it is no part of the lab. */
export default defineConfig({
  test: { include: ['test/image/**/*.image.test.ts'], testTimeout: 1_200_000, hookTimeout: 2_000_000, maxWorkers: 1 },
});
