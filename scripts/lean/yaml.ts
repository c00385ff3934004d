/** Stands for yaml in the bundle: @fastify/swagger needs it for descriptions in YAML only, and ours is JSON. */
export const unused = true;
