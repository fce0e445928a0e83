"""Short logs written by hand in each of GluonCV's formats."""

NAMESPACE = (
    "Namespace(batch_norm=False, batch_size=128, crop_ratio=0.875, data_dir='~/.mxnet/imagenet', "
    "dtype='float16', label_smoothing=True, lr=0.4, lr_decay_epoch='40,60', lr_mode='cosine', "
    "model='resnet50_v1d', num_epochs={epochs}, num_gpus=8, resume_epoch={resume}, "
    "rec_train='/media/ramdisk/rec/train.rec', teacher=None, wd=0.0001)\n"
)

IMAGENET = (
    NAMESPACE.format(epochs=2, resume=0)
    + """\
Epoch[0] Batch [50]\tSpeed: 1899.565520 samples/sec\taccuracy=0.003496\tlr=0.003133
Epoch[0] Batch [100]\tSpeed: 4810.490215 samples/sec\taccuracy=0.010217\tlr=0.006331
[Epoch 0] training: accuracy=0.010500
[Epoch 0] speed: 4700 samples/sec\ttime cost: 301.250000
[Epoch 0] validation: err-top1=0.908340 err-top5=0.756120
Epoch[1] Batch [50]\tSpeed: 4802.125000 samples/sec\taccuracy=0.150000\tlr=0.009528
[Epoch 1] training: accuracy=0.161234
[Epoch 1] speed: 4805 samples/sec\ttime cost: 276.500000
[Epoch 1] validation: err-top1=0.750020 err-top5=0.504560
"""
)

OLD_IMAGENET = """\
INFO:root:Namespace(batch_size=64, lr=0.1, model='resnet50_v1', num_epochs=2, num_gpus=4)
[18:00:24] src/operator/nn/./cudnn/./cudnn_algoreg-inl.h:107: Running performance tests
INFO:root:Epoch[0] Batch [49]\tSpeed: 428.809485 samples/sec\ttop1-err=0.998828\ttop5-err=0.994687
INFO:root:[Epoch 0] training: err-top1=0.801445 err-top5=0.567692 loss=3.815086
INFO:root:[Epoch 0] time cost: 1300.349902
INFO:root:[Epoch 0] validation: err-top1=0.745160 err-top5=0.472760
INFO:root:[Epoch 1] training: err-top1=0.701445 err-top5=0.467692 loss=2.815086
INFO:root:[Epoch 1] time cost: 1264.000000
INFO:root:[Epoch 1] validation: err-top1=0.645160 err-top5=0.372760
"""

HOROVOD = """\
[1,0]<stderr>:INFO:root:Namespace(batch_size=128, lr=0.05, model='resnest14', num_epochs=4)
[1,1]<stderr>:INFO:root:Namespace(batch_size=128, lr=0.05, model='resnest14', num_epochs=4)
[1,0]<stderr>:INFO:root:ResNet(
[1,0]<stderr>:  (conv1): Conv2D(3 -> 32, kernel_size=(3, 3))
[1,0]<stderr>:INFO:root:Epoch[0] Batch[50] Loss[6.912]
[1,0]<stderr>:INFO:root:Epoch[0] Rank[0] Batch[50]\trmse=0.026000\tlr=0.010000
[1,0]<stderr>:INFO:root:Epoch[0] Rank[0] Batch[1251]\tTime cost=401.20\tTrain-metric=0.025000
[1,0]<stderr>:INFO:root:Epoch[0]\tSpeed: 3195.25 samples/sec
[1,1]<stderr>:INFO:root:Epoch[0] Rank[1] Batch[1251]\tTime cost=999.00\tTrain-metric=0.9
[1,0]<stderr>:INFO:root:Epoch[1] Rank[0] Batch[1251]\tTime cost=399.00\tTrain-metric=0.024000
[1,0]<stderr>:INFO:root:Epoch[1]\tSpeed: 3210.00 samples/sec
[1,0]<stderr>:INFO:root:Epoch[1] Rank[0]\tValidation-accuracy=0.329120\
\tValidation-top_k_accuracy_5=0.591300
[1,0]<stderr>:INFO:root:Epoch[2] Rank[0] Batch[1251]\tTime cost=398.00\tTrain-metric=0.023000
[1,0]<stderr>:INFO:root:Epoch[3] Rank[0] Batch[1251]\tTime cost=397.00\tTrain-metric=0.022000
[1,0]<stderr>:INFO:root:Epoch[3] Rank[0]\tValidation-accuracy=0.477440\
\tValidation-top_k_accuracy_5=0.736700
[1,0]<stderr>:INFO:root:Epoch[3] Rank[0]\tValidation-accuracy=0.477440\
\tValidation-top_k_accuracy_5=0.736700
"""

CIFAR = """\
INFO:root:Namespace(batch_size=128, lr=0.1, model='cifar_resnet20_v1', num_epochs=3, num_gpus=1)
INFO:root:[Epoch 0] train=0.467608 val=0.558900 loss=1.452417 time: 16.450441
INFO:root:[Epoch 1] train=0.654387 val=0.734700 loss=0.976340 time: 16.356752
INFO:root:[Epoch 2] train=0.725621 val=0.690600 loss=0.779339 time: 16.056174
"""

CIFAR_MIXUP = CIFAR.replace("lr=0.1,", "logging_dir='logs', lr=0.1,").replace(
    "train=0.725621", "train=0.186867"
)

DETECTION = """\
Namespace(batch_size=4, dataset='voc', epochs=3, gpus='0,1', network='resnet50_v1b', \
save_prefix='faster_rcnn_resnet50_v1b_voc', seed=233)
Start training from [Epoch 0]
[Epoch 0][Batch 99], Speed: 11.000 samples/sec, RPN_Conf=0.655,RPN_SmoothL1=0.050
[Epoch 0][Batch 199], Speed: 13.000 samples/sec, RPN_Conf=0.503,RPN_SmoothL1=0.051
[Epoch 0] Training cost: 1312.133, RPN_Conf=0.139,RPN_SmoothL1=0.047,RCNN_CrossEntropy=0.316,\
RCNN_SmoothL1=0.359
[Epoch 0] Validation:
aeroplane=0.3749334870563221
train=0.46874304617776236
mAP=0.40289767311634483
[Epoch 0] mAP 0.40289767311634483 higher than current best [0] saving to best.params
[Epoch 1][Batch 99], Speed: 12.000 samples/sec, RPN_Conf=0.455,RPN_SmoothL1=0.040
[Epoch 1] Training cost: 1320.500, RPN_Conf=0.094,RPN_SmoothL1=0.042,RCNN_CrossEntropy=0.245,\
RCNN_SmoothL1=0.288
[Epoch 1] Validation:
mAP=0.5921
[Epoch 2][Batch 99], Speed: 12.000 samples/sec, RPN_Conf=0.355,RPN_SmoothL1=0.030
"""

BAR = "██████████"
SEGMENTATION = (
    "Number of GPUs: 4\nFCN(\n  (conv1): Conv2D(3 -> 64)\n)\n"
    "Starting Epoch: 0\nTotal Epoches: 2\n"
    "\r  0%|          | 0/709 [00:00<?, ?it/s]"
    f"\rEpoch 0, training loss 0.410:  50%|{BAR[:5]}     | 355/709 [02:40<02:40,  2.21it/s]"
    f"\rEpoch 0, training loss 0.310: 100%|{BAR}| 709/709 [1:05:21<00:00,  2.21it/s]\n"
    f"\rEpoch 0, validation pixAcc: 0.840, mIoU: 0.489:  99%|{BAR}| 178/179 [01:43<00:00]"
    f"\rEpoch 0, validation pixAcc: 0.841, mIoU: 0.488: 100%|{BAR}| 179/179 [01:51<00:00]\n"
    f"\rEpoch 1, training loss 0.253: 100%|{BAR}| 710/710 [05:03<00:00,  2.34it/s]\n"
    f"\rEpoch 1, validation pixAcc: 0.855, mIoU: 0.532: 100%|{BAR}| 179/179 [01:44<00:00]\n"
    "\r  0%|          | 0/179 [00:00<?, ?it/s]Evaluating model:  None\n"
    f"\rEpoch 0, validation pixAcc: 0.111, mIoU: 0.111: 100%|{BAR}| 179/179 [01:44<00:00]\n"
)

TABLE = "epoch,val_pixAcc,val_mIoU,train_loss\r\n0,0.964,0.837,0.216\r\n1,0.968,0.843,0.222\r\n"
