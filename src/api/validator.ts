/** Schemas of requests are compiled when the first request comes that needs them: all at the start would take a fifth of it, and memory. */
import type { BuildCompilerFromPool } from '@fastify/ajv-compiler';
import { AjvCompiler } from '@fastify/ajv-compiler';

type Compile = ReturnType<BuildCompilerFromPool>;
type Check = ReturnType<Compile>;

export const lazyValidator: BuildCompilerFromPool = (shared, options) => {
  let compile: Compile | undefined;
  return (route) => {
    let check: Check | undefined;
    const validate = (data: unknown): unknown => {
      compile ??= AjvCompiler()(shared, options);
      check ??= compile(route);
      const isFine = check(data);
      // Fastify reads what is wrong from the function that it called.
      (validate as Check).errors = check.errors ?? null;
      return isFine;
    };
    return validate as Check;
  };
};
