/** The version of this build, set by the bundler; 'dev' when run from source. */
declare const OSCA_VERSION: string | undefined;
export const version: string = typeof OSCA_VERSION === 'string' ? OSCA_VERSION : 'dev';
