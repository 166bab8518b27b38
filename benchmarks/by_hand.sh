#!/bin/sh
# The rollout as a bare shell script, for scale: no proofs, no plan, no care for what others wrote.
# usage: by_hand.sh REPOSITORY RENDERED BUCKET_URL   (credentials in S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY)
set -eu
repository=$1 rendered=$2 bucket=$3

s3() {
    curl -sf --aws-sigv4 aws:amz:minio:s3 -u "$S3_ACCESS_KEY_ID:$S3_SECRET_ACCESS_KEY" \
        -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -H 'Content-Type: application/xml' "$@"
}

s3 "$bucket?max-keys=1" >/dev/null || s3 -X PUT "$bucket"
rules='<LifecycleConfiguration><Rule><ID>parseable-expire-logs</ID><Filter><Prefix>kubernetes/date=</Prefix></Filter><Status>Enabled</Status><Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>'
s3 "$bucket?lifecycle=" >/dev/null || s3 -X PUT -d "$rules" "$bucket?lifecycle="

cd "$repository"
secret=kubernetes/apps/monitoring/parseable/app/secret.sops.yaml
[ -e "$secret" ] && exit 0
cp -R "$rendered/." .
cat <<EOF | sops encrypt --filename-override "$secret" >"$secret"
apiVersion: v1
kind: Secret
metadata: {name: parseable-s3-secret, namespace: monitoring}
stringData:
  S3_ACCESS_KEY_ID: $S3_ACCESS_KEY_ID
  S3_SECRET_ACCESS_KEY: $S3_SECRET_ACCESS_KEY
EOF
printf '  - ./parseable/ks.yaml\n  - ./vector/ks.yaml\n' >>kubernetes/apps/monitoring/kustomization.yaml
printf '  - ./parseable.yaml\n  - ./vector.yaml\n' >>kubernetes/flux/meta/repos/kustomization.yaml
git add .
git commit -qm 'feat(monitoring): deploy Parseable log aggregation with Vector'
git push -q
