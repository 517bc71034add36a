import type { RegistryClient } from '../image/registry/client.js';
import { type BlobFile, pushBlobs, pushManifest } from '../image/registry/push.js';
import { addReferrers } from '../image/registry/referrers.js';
import { WorkMeter, type WorkProgress } from '../manifest/work.js';
import type { Descriptor } from './descriptor.js';
import { descriptorOf, type StoredImages } from './store-images.js';

/**
 * Pushes stored images with their attachments: dependencies first, the tag last. A registry
 * that does not list referrers by itself has them listed under a tag (OCI distribution spec 1.1, "Referrers
 * Tag Schema").
 *
 * @param fileOf where a blob is
 * @throws JailbuildError REGISTRY_FAILED
 */
export async function pushToRegistry(
  client: RegistryClient,
  { root, images }: StoredImages,
  fileOf: (digest: string) => string,
  onWork?: (progress: WorkProgress) => void,
): Promise<void> {
  const layers = images.flatMap((image) => image.layers);
  const bytes = layers.reduce((sum, { size }) => sum + size, 0);
  const meter = new WorkMeter('push', { files: layers.length, bytes }, onWork);
  const file = ({ digest }: { readonly digest: string }): BlobFile => ({
    digest,
    file: fileOf(digest),
  });
  const push = (item: Descriptor, reference = item.digest) =>
    pushManifest(client, { ...file(item), mediaType: item.mediaType }, reference);
  for (const image of images) {
    for (const layer of image.layers) {
      let sent = 0;
      await pushBlobs(client, [file(layer)], (count) => {
        sent += count;
        meter.add(count);
      });
      // Of a layer that the registry has, nothing is sent.
      meter.add(layer.size - sent, 1);
    }
    await pushBlobs(client, [file(image.config)]);
    const descriptor = descriptorOf(image);
    if (descriptor.digest !== root.digest || image.referrers.length > 0) await push(descriptor);
    let isListed = true;
    for (const { blobs, descriptor: referrer } of image.referrers) {
      await pushBlobs(client, blobs.map(file));
      isListed = (await push(referrer)).hasReferrers && isListed;
    }
    const referrers = image.referrers.map(({ descriptor: referrer }) => referrer);
    if (!isListed) await addReferrers(client, descriptor.digest, referrers);
  }
  await push(root, client.name.tag ?? root.digest);
}
