/** The image for PCs: one that starts by UEFI, one by a BIOS. */
import { applianceOf } from './appliance.ts';

applianceOf('amd64', ['uefi', 'bios']);
