/** Stands for @grpc/grpc-js and @grpc/proto-loader in the bundle: dockerode needs them for BuildKit sessions only, which we don't open. */
export const unused = true;
