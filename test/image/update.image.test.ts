/** Updates of a PC. */
import { updatesOf } from './updates.ts';

updatesOf('uefi');
