/** Stands for gRPC and protobufjs in the bundle: dockerode needs them for sessions and progress of BuildKit only, which we don't ask for. */
export const unused = true;
