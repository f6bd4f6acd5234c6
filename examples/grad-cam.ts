// Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391): where does the network of cnn.ts see a digit? The gradient of the digit's logit
// by the features says how much each feature matters; the features, weighted by that, are a picture of what spoke for the digit.

import { grad, type Tensor } from 'cocagrad'
import { images, labels, model } from './cnn.ts' // trains it

const features = model.features(images) // [count, 32, 4, 4]
const ownLogits = (f: Tensor) => model.classify(f).gather(labels.unsqueeze(1), { axis: 1 }).sum()
const weights = grad(ownLogits)(features).mean({ axis: [2, 3], keepDims: true })
const evidence = features.mul(weights).sum({ axis: 1, keepDims: true }).relu()
const heat = evidence.interpolate({ size: [8, 8], mode: 'bilinear' })
