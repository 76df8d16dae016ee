"""Makes weights.pt (and sample.json, an image that the network has not seen). A few seconds on a CPU.

pip install -r requirements.txt scikit-learn && python train.py
"""

import json
from pathlib import Path

import torch
from network import make_network
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn.functional import cross_entropy

FOLDER = Path(__file__).parent

torch.manual_seed(0)
images, digits = load_digits(return_X_y=True)
pixels = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
seen, unseen, seen_digits, unseen_digits = train_test_split(pixels, torch.tensor(digits), random_state=0)

network = make_network()
optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
for _ in range(30):
    for batch in torch.randperm(len(seen)).split(64):
        optimizer.zero_grad()
        cross_entropy(network(seen[batch]), seen_digits[batch]).backward()
        optimizer.step()

network.eval()
with torch.inference_mode():
    accuracy = (network(unseen).argmax(1) == unseen_digits).float().mean()
print(f"accuracy on unseen images: {accuracy:.3f}")

torch.save(network.state_dict(), FOLDER / "weights.pt")
seven = (unseen[unseen_digits == 7][0, 0] * 16).int().tolist()
(FOLDER / "sample.json").write_text(json.dumps({"pixels": seven}) + "\n")
