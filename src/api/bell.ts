/** Wakes a loop when something happened. */
export class Bell {
  #wake: (() => void) | undefined;
  #rang = false;

  ring = (): void => {
    this.#rang = true;
    this.#wake?.();
  };

  async wait(withinMs: number): Promise<void> {
    if (!this.#rang) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, Math.max(0, withinMs));
      });
      clearTimeout(timer);
    }
    this.#rang = false;
    this.#wake = undefined;
  }
}
