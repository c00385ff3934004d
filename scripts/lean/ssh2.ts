/** Stands for ssh2 in the bundle: docker-modem only asks for it where an engine's address starts with ssh://. */
export class Client {
  constructor() {
    throw new Error('engines are reached by their socket, not by ssh');
  }
}
