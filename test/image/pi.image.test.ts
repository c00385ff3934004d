/** The image for Raspberry Pis, emulated as far as QEMU can. */
import { applianceOf } from './appliance.ts';

applianceOf('arm64', ['virt', 'virt']);
