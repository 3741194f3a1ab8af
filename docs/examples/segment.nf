// Segment a folder in parts:
//
//     nextflow run segment.nf --images new/images --model runs/new/model --out results --parts 8
//
// Masks are below results/masks; a part that failed runs again with -resume.
params.images = 'new/images'
params.model = 'runs/new/model'
params.out = 'results'
params.parts = 8

process SEGMENT {
    publishDir params.out, mode: 'copy'
    cpus 1
    memory '8 GB'

    input:
    val part
    path images
    path model

    output:
    path 'masks/**', optional: true

    script:
    """
    export OMP_NUM_THREADS=${task.cpus}
    biostyle segment ${images} -o masks --model ${model} --labels watershed --shard ${part}/${params.parts}
    """
}

workflow {
    SEGMENT(Channel.of(1..params.parts), file(params.images, checkIfExists: true), file(params.model, checkIfExists: true))
}
