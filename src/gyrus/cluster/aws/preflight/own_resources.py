"""Resources of your own that cluster.yaml names, and those whose names the cluster needs. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from gyrus.cluster.aws.cluster_spec import ClusterSpec, Subnet
from gyrus.cluster.aws.preflight.facts import ObservedAccount, OwnCertificate, OwnSubnet
from gyrus.cluster.aws.preflight.problem import PreflightProblem

FEWEST_ADDRESSES = 6
"""Free addresses that EKS needs in a subnet for its control plane."""
SOON = timedelta(days=30)


def region_problem(spec: ClusterSpec, facts: ObservedAccount) -> PreflightProblem | None:
    """Return why nothing can be created in the region. Returns None if it can be used."""
    if facts.region == "disabled":
        return PreflightProblem(
            what=f"region {spec.region}",
            have=f"it disabled in the account {facts.identity.account}",
            need="it enabled",
            remedy=f"Enable it, which takes minutes: aws account enable-region --region-name {spec.region}",
        )
    if facts.region == "unknown":
        return PreflightProblem(
            what=f"region {spec.region}",
            have=f"no such region for the account {facts.identity.account}",
            need="one that exists",
            remedy="Choose one of: aws ec2 describe-regions --all-regions --query Regions[].RegionName",
        )
    return None


def subnet_problems(spec: ClusterSpec, facts: ObservedAccount) -> Iterator[PreflightProblem]:
    """Yield what is wrong with your own subnets and their VPC."""
    if not spec.subnets or facts.subnets is None:
        return
    found = [facts.subnets[named.subnet_id] for named in spec.subnets if named.subnet_id in facts.subnets]
    wanted = spec.vpc_id or (found[0].vpc_id if found else "")
    for number, named in enumerate(spec.subnets):
        what = f"subnets[{number}]: {named.subnet_id}"
        if subnet := facts.subnets.get(named.subnet_id):
            yield from _placement_problems(spec, named, subnet, what, wanted)
            yield from _reachability_problems(spec, subnet, what)
        else:
            yield PreflightProblem(
                what=what,
                have=f"no such subnet in {spec.region} of the account {facts.identity.account}",
                need="a subnet that exists there",
                remedy=f"List them: aws ec2 describe-subnets --region {spec.region}",
            )
    yield from _capacity_problem(spec, found)
    yield from _dns_problems(spec, facts, wanted)


def _placement_problems(
    spec: ClusterSpec, named: Subnet, subnet: OwnSubnet, what: str, wanted: str
) -> Iterator[PreflightProblem]:
    if subnet.zone != named.availability_zone:
        yield PreflightProblem(
            what=what,
            have=f"it in {subnet.zone}",
            need=f"it in {named.availability_zone}, as cluster.yaml states",
            remedy=f"Write availability_zone: {subnet.zone}",
        )
    if subnet.vpc_id != wanted:
        yield PreflightProblem(
            what=what,
            have=f"it in {subnet.vpc_id}",
            need=f"it in {wanted}, {'which is vpc_id' if spec.vpc_id else 'like the first subnet'}",
            remedy="Use subnets of one VPC",
        )


def _reachability_problems(spec: ClusterSpec, subnet: OwnSubnet, what: str) -> Iterator[PreflightProblem]:
    if subnet.free_addresses < FEWEST_ADDRESSES:
        yield PreflightProblem(
            what=what,
            have=f"{subnet.free_addresses} free addresses",
            need=f"{FEWEST_ADDRESSES} for the control plane",
            remedy="Use a larger subnet",
        )
    if subnet.internet is None:
        return
    if spec.subnet_visibility == "public" and subnet.internet != "internet gateway":
        yield PreflightProblem(
            what=what,
            have="no route to an internet gateway",
            need="one, as subnet_visibility is public",
            remedy="Add the route, or write subnet_visibility: private",
        )
    if spec.subnet_visibility == "private" and subnet.internet == "none":
        yield PreflightProblem(
            what=what,
            have="no route to the internet",
            need="one by a NAT or transit gateway, or VPC endpoints of all services that nodes call",
            remedy="Add a route for 0.0.0.0/0, unless the VPC has these endpoints",
            severity="warning",
        )
    if spec.subnet_visibility == "private" and subnet.internet == "internet gateway":
        yield PreflightProblem(
            what=what,
            have="a route to an internet gateway",
            need="one by a NAT gateway: nodes of private subnets have no public address",
            remedy="Use private subnets, or write subnet_visibility: public",
        )


def _capacity_problem(spec: ClusterSpec, found: list[OwnSubnet]) -> Iterator[PreflightProblem]:
    free = sum(subnet.free_addresses for subnet in found)
    most = sum(group.max_instances for group in spec.node_groups)
    if len(found) == len(spec.subnets) and free < most + FEWEST_ADDRESSES * len(found):
        yield PreflightProblem(
            what="subnets",
            have=f"{free} free addresses",
            need=f"{most} for max_instances of all groups, {FEWEST_ADDRESSES} a subnet for the control "
            "plane, and one for each pod",
            remedy="Use larger subnets, or add some",
            severity="warning",
        )


def _dns_problems(spec: ClusterSpec, facts: ObservedAccount, vpc_id: str) -> Iterator[PreflightProblem]:
    vpc = (facts.vpcs or {}).get(vpc_id)
    if vpc is None:
        return
    missing = [
        (name, option)
        for name, option, has in (
            ("enableDnsSupport", "--enable-dns-support", vpc.has_dns_support),
            ("enableDnsHostnames", "--enable-dns-hostnames", vpc.has_dns_hostnames),
        )
        if not has
    ]
    for name, option in missing:
        yield PreflightProblem(
            what=f"VPC {vpc_id}",
            have=f"{name} off",
            need="it on: nodes find the control plane by its name",
            remedy=f"Switch it on: aws ec2 modify-vpc-attribute --vpc-id {vpc_id} {option} "
            f"--region {spec.region}",
        )


def certificate_problem(spec: ClusterSpec, facts: ObservedAccount, now: datetime) -> PreflightProblem | None:
    """Return why the certificate cannot be used. Returns None if it can, or if none is named."""
    certificate = facts.certificate
    if not spec.ssl_certificate_arn or certificate is None:
        return None
    what = f"ssl_certificate_arn: {spec.ssl_certificate_arn}"
    if not certificate.status:
        return PreflightProblem(
            what=what,
            have=f"no such certificate in {spec.region}",
            need="one that exists",
            remedy=f"List them: aws acm list-certificates --region {spec.region}",
        )
    if certificate.expires and certificate.expires <= now:
        have = f"a certificate for {certificate.domain} that expired on {certificate.expires:%Y-%m-%d}"
    elif certificate.status != "ISSUED":
        have = f"a certificate for {certificate.domain} with the status {certificate.status}"
    else:
        return _expiry_warning(what, certificate, now)
    remedy = (
        "Create the DNS records that ACM shows, and wait until it is issued"
        if certificate.status == "PENDING_VALIDATION"
        else "Request another one, or import a renewed one"
    )
    return PreflightProblem(what=what, have=have, need="one that is issued and valid", remedy=remedy)


def _expiry_warning(what: str, certificate: OwnCertificate, now: datetime) -> PreflightProblem | None:
    """Return a warning about an imported certificate that expires soon: ACM does not renew it."""
    if certificate.is_renewed or certificate.expires is None or certificate.expires > now + SOON:
        return None
    day = f"{certificate.expires:%Y-%m-%d}"
    return PreflightProblem(
        what=what,
        have=f"an imported certificate for {certificate.domain} that expires on {day}",
        need="a valid one: ACM does not renew imported ones",
        remedy="Import a renewed one before that day",
        severity="warning",
    )


def policy_problems(spec: ClusterSpec, facts: ObservedAccount) -> Iterator[PreflightProblem]:
    """Yield the IAM policies that do not exist."""
    for number, arn in enumerate(spec.iam_policy_arns):
        if (facts.policies or {}).get(arn) is False:
            yield PreflightProblem(
                what=f"iam_policy_arns[{number}]: {arn}",
                have="no such policy",
                need="one that exists",
                remedy="List them: aws iam list-policies --query Policies[].Arn",
            )


def name_problems(spec: ClusterSpec, facts: ObservedAccount) -> Iterator[PreflightProblem]:
    """Yield the names of the cluster that others have: of its bucket, and of the EKS cluster."""
    have = {
        "foreign": "a bucket of another account, or one that the credentials may not read",
        "other region": f"it in another region than {spec.region}",
    }.get(facts.bucket or "")
    if have:
        yield PreflightProblem(
            what=f"bucket {facts.bucket_name}",
            have=have,
            need=f"a bucket of the account {facts.identity.account} in {spec.region}, or none",
            remedy="Choose another cluster_name, or delete the bucket if it is yours",
        )
    if facts.cluster == "foreign":
        yield PreflightProblem(
            what=f"cluster_name: {spec.cluster_name}",
            have=f"an EKS cluster of that name in {spec.region} that gyrus did not make",
            need="a free name",
            remedy="Choose another cluster_name, or install gyrus on that cluster: gyrus cluster install",
        )
