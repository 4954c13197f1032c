// A worker that makes JPEGs of pictures: in the page itself that would wait until the page has nothing else to do.

const canvas = new OffscreenCanvas(1, 1);
const pen = canvas.getContext("2d", { willReadFrequently: true });

/** {picture: an ImageBitmap, quality} is answered with {picture, jpeg: its bytes}. */
self.addEventListener("message", async ({ data: { picture, quality } }) => {
  canvas.width = picture.width;
  canvas.height = picture.height;
  pen.drawImage(picture, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality });
  const jpeg = await blob.arrayBuffer();
  self.postMessage({ picture, jpeg }, [picture, jpeg]);
});
