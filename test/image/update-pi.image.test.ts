/** Updates of a Pi, which QEMU's board stands for. */
import { updatesOf } from './updates.ts';

updatesOf('virt');
